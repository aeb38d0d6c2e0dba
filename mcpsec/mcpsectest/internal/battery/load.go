package battery

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

var loadChecks = []Check{
	{
		ID: "load/concurrency", Severity: Medium, Title: "any number of calls run at once",
		Proof:  "64 calls of a tool that takes a while were all carried out, in less time than four after each other. Only tools are tested whose valid call takes 150 ms to 3 s.",
		Remedy: "Cap how many calls run at once, in all and for each caller, and refuse the rest.",
		Run:    unbounded,
	},
	{
		ID: "load/cancel", Severity: Low, Title: "a cancelled call goes on",
		Proof:  "A call was cancelled (notifications/cancelled) soon after it began, and its result came all the same, after all the time that the call takes. Only tools are tested whose valid call takes 300 ms to 3 s.",
		Remedy: "Hand the call's context, or signal, to all that the call waits for.",
		Run:    uncancelled,
	},
}

const burst = 64

// slow are tools whose valid call takes that long, and how long.
func (p *Probe) slow(ctx context.Context, least time.Duration, look func(t Tool, took time.Duration) []Finding) []Finding {
	var out []Finding
	for _, t := range p.attacked() {
		if took := p.took[t.Name]; p.baseline(ctx, t).Accepted() && took >= least && took <= 3*time.Second {
			out = append(out, look(t, took)...)
		}
	}
	return out
}

func unbounded(ctx context.Context, p *Probe) []Finding {
	return p.slow(ctx, 150*time.Millisecond, func(t Tool, took time.Duration) []Finding {
		s, err := p.Session(ctx)
		if err != nil {
			return nil
		}
		var wg sync.WaitGroup
		var done atomic.Int64
		begin := time.Now()
		for range burst {
			wg.Go(func() {
				if s.Request(ctx, "tools/call", `{"name":`+quote(t.Name)+`,"arguments":`+encode(t.Valid)+`}`).Accepted() {
					done.Add(1)
				}
			})
		}
		wg.Wait()
		if done.Load() < burst || time.Since(begin) > 4*took {
			return nil
		}
		return []Finding{{Subject: t.Name, Evidence: fmt.Sprintf("%d calls at once were all carried out together", burst)}}
	})
}

func uncancelled(ctx context.Context, p *Probe) []Finding {
	return p.slow(ctx, 300*time.Millisecond, func(t Tool, took time.Duration) []Finding {
		s, err := p.Session(ctx)
		if err != nil {
			return nil
		}
		id, m := s.message("tools/call", `{"name":`+quote(t.Name)+`,"arguments":`+encode(t.Valid)+`}`)
		reply := make(chan Reply, 1)
		begin := time.Now()
		go func() { reply <- s.Exchange(ctx, id, m) }()
		select {
		case <-reply:
			return nil // it was quick this time
		case <-time.After(took / 6):
		}
		s.Notify(ctx, "notifications/cancelled", `{"requestId":`+id+`}`)
		cancelled := time.Since(begin)
		select {
		case r := <-reply:
			if r.Accepted() && cancelled < took/2 && time.Since(begin) > took*3/4 {
				return []Finding{{Subject: t.Name, Evidence: "the result of a cancelled call came"}}
			}
		case <-time.After(2*took + time.Second):
		}
		return nil
	})
}
