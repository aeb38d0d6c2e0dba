package battery

import (
	"io"
	"os"
	"testing"
	"time"
)

// A server that does not end is ended, with all that it has started.
func TestProcessThatStays(t *testing.T) {
	t.Parallel()
	for flaw, prompt := range map[string]bool{"wire/eof": false, "": true} {
		target := Target{Argv: []string{os.Args[0], "fake=" + flaw}}
		if !prompt {
			target.grace = time.Millisecond
		}
		s, err := target.dial(io.Discard, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.handshake(t.Context(), legacy); err != nil {
			t.Error(err)
		}
		if got := s.Close(); got != prompt { // which returns when the process is gone
			t.Errorf("%q: ended by itself: %v", flaw, got)
		}
		if s.Alive(t.Context()) {
			t.Errorf("%q: it still answers", flaw)
		}
	}
}
