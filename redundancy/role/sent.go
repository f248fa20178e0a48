package role

import "time"

// sentRing is how many answers are remembered; an echo of an older one renews no lease, as it would be over anyway.
const sentRing = 1024

// Sent remembers when answers were sent, so that an echo of one can be turned into the time the lease runs from. The
// zero value is ready. One is shared by all areas and paths of a node.
type Sent struct {
	next uint64
	at   [sentRing]time.Duration
}

// Next numbers an answer that is sent at now; numbers start at 1.
func (s *Sent) Next(now time.Duration) uint64 {
	s.next++
	s.at[s.next%sentRing] = now
	return s.next
}

// At returns when the answer with the number was sent, if it is remembered.
func (s *Sent) At(number uint64) (time.Duration, bool) {
	if number == 0 || number > s.next || s.next-number >= sentRing {
		return 0, false
	}
	return s.at[number%sentRing], true
}
