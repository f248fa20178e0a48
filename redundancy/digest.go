package redundancy

import "time"

// digestSettles is how long the digests of the nodes may differ after a change before that is told: the other node
// follows a moment later.
const digestSettles = 3 * time.Second

// SetDigest says that this node runs another configuration from now on.
func (n *Node) SetDigest(digest string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.digest = digest
	n.changing = n.now() + digestSettles
	for _, a := range n.order {
		a.refresh()
	}
}
