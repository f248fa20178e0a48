package web

import (
	"sync"
	"time"
)

// siege counts the wrong passwords of a user from all addresses together. Who guesses from many addresses is never
// stopped by the lock of one pair of user and address. After too many, only addresses are heard from which the user has
// logged in before: the guesser stays outside, and the operator at his own desk is not locked out by him.
type siege struct {
	mu     sync.Mutex
	byUser map[string]*pressure
}

type pressure struct {
	count int
	since time.Time
	known map[string]time.Time // address -> last log-in
}

func newSiege() *siege { return &siege{byUser: map[string]*pressure{}} }

// shut returns how long the user is not heard yet from the address.
func (g *siege) shut(user, address string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.byUser[user]
	if p == nil || p.count < siegeAfter || now.Sub(p.since) > siegeTime {
		return 0
	}
	if last, ok := p.known[address]; ok && now.Sub(last) < knownLife {
		return 0
	}
	return p.since.Add(siegeTime).Sub(now)
}

// record notes the outcome of a check and reports whether it was the one too many.
func (g *siege) record(user, address string, ok bool, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.byUser[user]
	if p == nil {
		g.makeRoom(now)
		p = &pressure{since: now, known: map[string]time.Time{}}
		g.byUser[user] = p
	}
	if ok {
		p.remember(address, now)
		return false
	}
	if now.Sub(p.since) > siegeTime {
		p.count, p.since = 0, now
	}
	if p.count++; p.count == siegeAfter {
		p.since = now
		return true
	}
	return false
}

func (p *pressure) remember(address string, now time.Time) {
	if _, ok := p.known[address]; !ok && len(p.known) >= knownAddresses {
		oldest := ""
		for a, last := range p.known {
			if oldest == "" || last.Before(p.known[oldest]) {
				oldest = a
			}
		}
		delete(p.known, oldest)
	}
	p.known[address] = now
}

// makeRoom forgets names that are not guessed at now; those that have logged in last.
func (g *siege) makeRoom(now time.Time) {
	if len(g.byUser) < maxLimited {
		return
	}
	for user, p := range g.byUser {
		if len(p.known) == 0 && (now.Sub(p.since) > siegeTime || p.count < siegeAfter) {
			delete(g.byUser, user)
		}
	}
	for user := range g.byUser { // still too many: names of guesses, any of them
		if len(g.byUser) < maxLimited {
			return
		}
		delete(g.byUser, user)
	}
}
