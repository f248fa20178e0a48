package alarms

// EncodeOutcome returns the binary form of the outcome in parts of at most about maxBytes each, for a link whose records
// are limited. Each part is an outcome of its own; [Engine.Apply] of all of them in order is that of the whole. A part
// holds at least one event or image, however small maxBytes is.
func EncodeOutcome(o Outcome, maxBytes int) [][]byte {
	s := splitter{limit: maxBytes, part: Outcome{Mark: o.Mark, Flood: o.Flood}}
	for i := range o.Events {
		s.buf = appendEvent(s.buf[:0], &o.Events[i])
		s.room()
		s.part.Events = append(s.part.Events, o.Events[i])
	}
	for i := range o.Tags {
		s.buf = appendTag(s.buf[:0], &o.Tags[i])
		s.room()
		s.part.Tags = append(s.part.Tags, o.Tags[i])
	}
	for i := range o.Changed {
		s.buf = appendCondition(s.buf[:0], &o.Changed[i])
		s.room()
		s.part.Changed = append(s.part.Changed, o.Changed[i])
	}
	s.flush()
	return s.parts
}

// overhead is the most that version, mark, counts and flood take.
const overhead = 64 + 8*(MaxFloodEnter+1)

type splitter struct {
	limit int
	size  int
	part  Outcome
	buf   []byte // the element to be added
	parts [][]byte
}

// room begins a new part if the element does not fit into the present one.
func (s *splitter) room() {
	if s.size > 0 && overhead+s.size+len(s.buf) > s.limit {
		s.flush()
	}
	s.size += len(s.buf)
}

func (s *splitter) flush() {
	if !s.part.IsZero() {
		s.parts = append(s.parts, AppendOutcome(nil, s.part))
	}
	s.part, s.size = Outcome{}, 0
}
