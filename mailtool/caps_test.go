package mailtool

import (
	"strings"
	"testing"
)

// One mailbox under many names gets no more in one message than in many.
func TestMailboxCapWithinMessage(t *testing.T) {
	t.Parallel()
	c := testClient(t, func(o *Options) { o.Recipients.PerRecipient = 2 })
	m := testMessage()
	m.To = []string{"bob@example.com", "bob+1@example.com", "BOB+2@example.com"}
	b := mustBuild(t, c, m)
	if _, err := c.take(t.Context(), b); err == nil || !strings.Contains(err.Error(), "2 messages of a day") {
		t.Errorf("got %v", err)
	}
	m.To = m.To[:2]
	if _, err := c.take(t.Context(), mustBuild(t, c, m)); err != nil {
		t.Errorf("what was refused was counted: %v", err)
	}
	if _, err := c.take(t.Context(), mustBuild(t, c, m)); err == nil {
		t.Error("four messages of two")
	}
}
