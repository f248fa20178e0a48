package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter keeps one token bucket for each key. When it knows too many keys it forgets those that are full again, and if
// there are none, all: rather a burst too many than memory without end.
type limiter struct {
	mu    sync.Mutex
	limit rate.Limit
	burst int
	byKey map[string]*rate.Limiter
}

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{limit: rate.Limit(perSecond), burst: burst, byKey: map[string]*rate.Limiter{}}
}

// allow takes a token of the key, or says how long until there is one.
func (l *limiter) allow(key string, now time.Time) (bool, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.byKey[key]
	if !ok {
		l.makeRoom(now)
		b = rate.NewLimiter(l.limit, l.burst)
		l.byKey[key] = b
	}
	r := b.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
		return false, wait
	}
	return true, 0
}

func (l *limiter) makeRoom(now time.Time) {
	if len(l.byKey) < maxLimited {
		return
	}
	for key, b := range l.byKey {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.byKey, key)
		}
	}
	if len(l.byKey) >= maxLimited {
		clear(l.byKey)
	}
}

// lockout counts wrong passwords of a user from an address and locks that pair of them. Not the user alone: anybody could then lock
// the operator out by failing in his name.
type lockout struct {
	mu    sync.Mutex
	byKey map[[2]string]*failures
}

type failures struct {
	count  int
	locked time.Time // until
	last   time.Time
}

func newLockout() *lockout { return &lockout{byKey: map[[2]string]*failures{}} }

// locked returns how long the pair is locked yet.
func (l *lockout) locked(user, address string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.byKey[[2]string{user, address}]; ok && now.Before(f.locked) {
		return f.locked.Sub(now)
	}
	return 0
}

// record notes the outcome of a check and reports whether it locked the pair.
func (l *lockout) record(user, address string, ok bool, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := [2]string{user, address}
	if ok {
		delete(l.byKey, key)
		return false
	}
	f, known := l.byKey[key]
	if !known || now.Sub(f.last) > lockTime {
		l.makeRoom(now)
		f = &failures{}
		l.byKey[key] = f
	}
	f.last = now
	f.count++
	if f.count < lockAfter {
		return false
	}
	f.count, f.locked = 0, now.Add(lockTime)
	return true
}

func (l *lockout) makeRoom(now time.Time) {
	if len(l.byKey) < maxLimited {
		return
	}
	for key, f := range l.byKey {
		if now.Sub(f.last) > lockTime {
			delete(l.byKey, key)
		}
	}
	if len(l.byKey) < maxLimited {
		return
	}
	for key := range l.byKey { // all of them fresh: forget half, so that not every newcomer searches
		if len(l.byKey) < maxLimited/2 {
			return
		}
		delete(l.byKey, key)
	}
}
