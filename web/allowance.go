package web

import (
	"context"
	"sync"
	"time"
)

const (
	// maxAnswers is how many bytes all answers from the history that are being made may take together; of one user half.
	maxAnswers = 160 << 20
	// answerWait is how long a request waits for its share.
	answerWait = 5 * time.Second
)

// allowance shares out something there is only so much of. Nobody gets more than half of it.
type allowance struct {
	mu    sync.Mutex
	left  int64
	most  int64            // of one user
	taken map[string]int64 // by user
	moved chan struct{}    // closed and replaced when something is given back
}

func newAllowance(all int64) *allowance {
	return &allowance{left: all, most: all / 2, taken: map[string]int64{}, moved: make(chan struct{})}
}

// take waits for n; false means that there was not so much left in time.
func (a *allowance) take(ctx context.Context, user string, n int64) bool {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	for {
		moved, ok := a.try(user, n)
		if ok {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

func (a *allowance) try(user string, n int64) (moved <-chan struct{}, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n > a.left || a.taken[user]+n > a.most {
		return a.moved, false
	}
	a.left -= n
	a.taken[user] += n
	return nil, true
}

// give gives n back.
func (a *allowance) give(user string, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left += n
	if a.taken[user] -= n; a.taken[user] == 0 {
		delete(a.taken, user)
	}
	close(a.moved)
	a.moved = make(chan struct{})
}
