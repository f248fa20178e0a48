package web

import (
	"sync"
	"time"
)

// nonces remembers the nonces of writes until no write with them could be in time any more.
type nonces struct {
	mu   sync.Mutex
	seen map[string]time.Time // until when it is remembered
}

func newNonces() *nonces { return &nonces{seen: map[string]time.Time{}} }

// nonceLife covers the longest deadline twice: a replay with a new deadline is refused as well for a while.
const nonceLife = 10 * time.Minute

// use reports whether the nonce is new, and remembers it. When there is no room the write is refused as if it were
// repeated: forgetting early would let a repetition through.
func (n *nonces) use(nonce string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if until, ok := n.seen[nonce]; ok && now.Before(until) {
		return false
	}
	if len(n.seen) >= maxNonces {
		for k, until := range n.seen {
			if !now.Before(until) {
				delete(n.seen, k)
			}
		}
		if len(n.seen) >= maxNonces {
			return false
		}
	}
	n.seen[nonce] = now.Add(nonceLife)
	return true
}
