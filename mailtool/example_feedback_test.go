package mailtool_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A hard bounce that Postmark tells of takes its address off all later mail.
func ExampleNewFeedback() {
	login := "hook:" + strings.Repeat("secret-", 3) // of the webhook's URL at Postmark
	verifier, err := webhook.Postmark(redact.NewSecret(login))
	if err != nil {
		fmt.Println(err)
		return
	}
	list := suppress.New(nil) // or of a pgstate.Store, which replicas share
	feedback, err := mailtool.NewFeedback(mailtool.FeedbackOptions{Provider: "postmark", Verifier: verifier, Suppressions: list})
	if err != nil {
		fmt.Println(err)
		return
	}
	// http.Handle("/webhooks/postmark", feedback), and for the Client:
	suppressed := mailtool.Suppressed(list) // Options.Suppressed

	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"RecordType":"Bounce","Type":"HardBounce","ID":42,"Email":"Ann@Example.com"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(login)))
	w := httptest.NewRecorder()
	feedback.ServeHTTP(w, r)

	stop, err := suppressed(context.Background(), "ann@example.com")
	fmt.Println(w.Code, stop, err, feedback.Stats()["hard_bounce"])
	// Output: 200 true <nil> 1
}
