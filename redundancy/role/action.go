package role

// Verdict is what a witness says when the peer is silent on every path.
type Verdict uint8

// The verdicts.
const (
	// Unknown: the witness could not be asked or does not know.
	Unknown Verdict = iota
	// PeerAlive: the peer acts; only the link between the nodes is cut.
	PeerAlive
	// PeerDead: the peer does not act, or its lease at the witness is over.
	PeerDead
	// CutOff: this node is the one that is cut off.
	CutOff
)

// String returns the verdict in words.
func (v Verdict) String() string {
	switch v {
	case PeerAlive:
		return "the peer is alive"
	case PeerDead:
		return "the peer is dead"
	case CutOff:
		return "this node is cut off"
	}
	return "no answer"
}
