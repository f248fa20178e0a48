package export

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// How a target that takes nothing is tried again.
const (
	retryFirst = 500 * time.Millisecond
	retryMost  = time.Minute
	// maxSplits bounds the requests spent on finding what is wrong in one batch.
	maxSplits = 64
)

// errLost says that the engine may have lost what it took: everything that does not count yet is to be sent again.
var errLost = errors.New("the connection to the engine was lost")

// deliver sends a batch until the engine has it, or has told what is wrong in it.
func (r *run) deliver(ctx context.Context, b *batch) error {
	if len(b.chunks) == 0 {
		return nil
	}
	a, err := r.request(ctx, b)
	if err == nil && a.verdict == wrong {
		err = r.resolve(ctx, b, a)
	}
	b.reset()
	return err
}

// request sends a batch until it is taken or wrong. An engine that calls even an empty request wrong is not set up for
// remote write: nothing is wrong with the samples.
func (r *run) request(ctx context.Context, b *batch) (answer, error) {
	idle := time.Since(r.lastAnswer)
	for try := 0; ; try++ {
		a := r.client.send(ctx, r.enc.encode(r.series, b))
		if err := ctx.Err(); err != nil {
			return a, err
		}
		if a.verdict == wrong && len(b.chunks) > 0 {
			if probe := r.client.send(ctx, r.enc.encode(r.series, &batch{})); probe.verdict != taken {
				a.verdict = later
			}
		}
		if a.verdict == taken || a.verdict == wrong {
			if a.verdict == taken {
				r.fresh.Totals.Sent += uint64(b.size())
			}
			return a, r.answered(idle)
		}
		if err := r.pause(ctx, a, try); err != nil {
			return a, err
		}
	}
}

// answered notes that the engine is there, after its connection was idle for some time.
func (r *run) answered(idle time.Duration) error {
	first := r.lastAnswer.IsZero()
	r.lastAnswer = time.Now()
	if r.losses < mostLosses {
		r.note(nil, time.Time{})
	}
	if !r.client.lost {
		return nil
	}
	r.client.lost = false
	if r.o.Horizon == 0 {
		return nil // it keeps what it took
	}
	// A killed engine and one that closes idle connections look the same. So the new connection is used twice as often.
	if !first && idle >= 2*leastIdle && (r.use == 0 || idle/2 < r.use) {
		r.use = idle / 2
	}
	return errLost
}

// pause waits before the next try: ever longer, not in step with other senders, and at least as long as the engine asks.
func (r *run) pause(ctx context.Context, a answer, try int) error {
	wait := min(retryFirst<<min(try, 10), retryMost)
	wait = max(wait/2+rand.N(wait/2), a.wait)
	r.note(a, time.Now().Add(wait))
	for wait > 0 { // meanwhile, what falls out of the archive is noticed
		step := min(wait, surveyEvery)
		if err := sleep(ctx, step); err != nil {
			return err
		}
		if wait -= step; time.Since(r.surveyed) >= surveyEvery {
			if err := r.survey(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolve finds what is wrong in a batch the engine does not take, sends the rest in order, and parks it.
func (r *run) resolve(ctx context.Context, b *batch, a answer) error {
	left := maxSplits
	var halve func(b *batch, a answer) error
	halve = func(b *batch, a answer) error {
		if b.size() == 1 || left <= 0 {
			r.park(b, a)
			return nil
		}
		one, two := b.split()
		for _, half := range [...]*batch{one, two} {
			left--
			a, err := r.request(ctx, half)
			if err == nil && a.verdict == wrong {
				err = halve(half, a)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	before := r.fresh.Totals.Parked
	err := halve(b, a)
	if n := r.fresh.Totals.Parked - before; n > 0 && err == nil {
		p := r.fresh.Parked[len(r.fresh.Parked)-1]
		r.tell(ParkedEvent, fmt.Sprintf("%d samples are left out, the last one of tag %s: %d %s", n, p.Tag, p.Status, p.Reason))
	}
	return err
}

// park leaves samples out, and remembers that.
func (r *run) park(b *batch, a answer) {
	p := Parked{At: time.Now().UnixNano(), Tag: r.series[b.chunks[0].series].name, Samples: b.size(), Status: a.status, Reason: a.reason}
	seen := map[int]bool{}
	for _, c := range b.chunks {
		seen[c.series] = true
		from, to := b.points[c.from].millis*1e6, b.points[c.to-1].millis*1e6
		if p.From == 0 || from < p.From {
			p.From = from
		}
		p.To = max(p.To, to)
	}
	p.Tags = len(seen)
	r.fresh.Totals.Parked += uint64(p.Samples)
	r.fresh.Parked = lastOf(append(r.fresh.Parked, p))
}

// sleep waits until the time is over or ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
