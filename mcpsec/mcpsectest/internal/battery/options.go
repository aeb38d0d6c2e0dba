package battery

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Options of a run.
type Options struct {
	// Canaries are values that the server has and must show nobody: keys,
	// passwords, rows of others. They are in no report. Defaults to none.
	Canaries []string
	// Call lists tools that may be called although they do not say that they only
	// read, with arguments that are valid, or nil to have some made from the
	// schema; "*" is all tools. Listed tools do what they do: list them on a server
	// whose data may be lost. Defaults to none.
	Call map[string]json.RawMessage
	// Accept lists findings that are known, by check ("args/unknown") or by check
	// and subject ("args/unknown search"). They are reported as Info. Defaults to
	// none.
	Accept []string
	// Manifest is the path of the definitions that were reviewed. Defaults to none:
	// definitions are not compared.
	Manifest string
	// Update writes Manifest, and reports no difference.
	Update bool
	// Timeout is how long one exchange may take. Defaults to 10 seconds.
	Timeout time.Duration
	// Progress is told what is being done, a line at a time. Defaults to nobody.
	Progress func(line string)

	unpaced bool // requests follow each other at once
}

func (o Options) timeout() time.Duration {
	if o.Timeout <= 0 {
		return 10 * time.Second
	}
	return o.Timeout
}

// A Target is a server: one of Argv, Serve and URL is set.
type Target struct {
	// Argv is a program and its arguments, which serves standard input and output.
	// It gets this process's environment.
	Argv []string
	// Serve is a server in this process, which serves one client until its input
	// ends.
	Serve func(ctx context.Context, r io.ReadCloser, w io.WriteCloser) error
	// URL is an endpoint of Streamable HTTP, and Header what each request carries,
	// as a rule Authorization.
	URL    string
	Header http.Header

	grace time.Duration // that a server has for its end; zero is 3 seconds
}

func (t Target) patience() time.Duration { return cmp.Or(t.grace, 3*time.Second) }

func (t Target) transport() Transport {
	if t.URL != "" {
		return HTTP
	}
	return Stream
}
