package server

import (
	"context"
	"sync"
	"time"
)

// yieldFor is how long a piece of a back-fill waits while live data is in need.
const yieldFor = 100 * time.Millisecond

// pace keeps back-filling from taking what live data needs: it moves no more bytes a second than it is told to, and while
// this process gets its turns late every piece waits.
type pace struct {
	rate func() int64 // bytes a second
	late func() bool

	mu    sync.Mutex
	began time.Time // of the piece that is on its way
	next  time.Time // when another may begin
}

// wait returns when a piece may be moved.
func (p *pace) wait(ctx context.Context) error {
	if err := p.yield(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	now := time.Now()
	p.began = now
	if p.next.After(now) {
		p.began = p.next
	}
	until := p.began
	p.mu.Unlock()
	return pause(ctx, until.Sub(now))
}

// took notes the size of the piece that was moved. The time that took counts.
func (p *pace) took(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.began.After(p.next) {
		p.next = p.began
	}
	p.next = p.next.Add(time.Duration(float64(size) / float64(p.rate()) * float64(time.Second)))
}

// yield waits for a moment while this process gets its turns late.
func (p *pace) yield(ctx context.Context) error {
	if !p.late() {
		return nil
	}
	return pause(ctx, yieldFor)
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
