package mailtool_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Mail that is sent later. A store that outlasts the process is a pgstate.Store.
func ExampleQueueTools() {
	store := new(state.Memory)
	mc, err := mailtool.New(mailtool.Options{
		Host:       "smtp.example.com",
		From:       "orders@example.com",
		Recipients: mailtool.Recipients{Allow: []string{"example.com"}},
		State:      store,
		Queue:      mailtool.Queue{Documents: store, Keys: []mcpsec.Secret{redact.NewSecret("Qm4t" + "9vKx2Zs8Wn3cRj7bUd5yPg6eLaHf")}}, // from a file or the environment
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, tool := range append(mailtool.QueueTools(mc, nil), mailtool.LogTools(mc)...) {
		fmt.Println(tool.Name(), tool.Effect())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // at the server's end
	fmt.Println(mc.RunQueue(ctx))
	// Output:
	// mail_schedule destroy
	// mail_cancel destroy
	// mail_list_scheduled read
	// mail_log read
	// mail_stats read
	// <nil>
}
