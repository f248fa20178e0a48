package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// gaps are the gap markers in memory, in order of From.
type gaps struct {
	list  []Gap
	fresh []Gap // not in meta.db yet
}

// add takes a gap in; false means it was there.
func (l *gaps) add(g Gap) bool {
	i, found := slices.BinarySearchFunc(l.list, g, func(a, b Gap) int { return bytes.Compare(a.key(), b.key()) })
	if found {
		return false
	}
	l.list = slices.Insert(l.list, i, g)
	if len(l.list) > maxStoredGaps {
		l.list = l.list[1:]
	}
	return true
}

// of returns the gaps of a tag's scope that touch from to to.
func (l *gaps) of(scope Scope, from, to int64) []Gap {
	var out []Gap
	for _, g := range l.list {
		if g.From >= to || len(out) == MaxGaps {
			break
		}
		if g.To > from && g.Scope.touches(scope) {
			out = append(out, g)
		}
	}
	return out
}

func (g Gap) key() []byte {
	// The sign bit is flipped so that keys sort as the times do.
	k := binary.BigEndian.AppendUint64(nil, uint64(g.From)^1<<63)
	k = binary.BigEndian.AppendUint64(k, uint64(g.To)^1<<63)
	return append(k, strings.Join([]string{g.Scope.Area, g.Scope.Device, g.Scope.ScanClass}, "\x00")...)
}

func gapOf(k, v []byte) (Gap, bool) {
	if len(k) < 16 {
		return Gap{}, false
	}
	g := Gap{From: int64(binary.BigEndian.Uint64(k) ^ 1<<63), To: int64(binary.BigEndian.Uint64(k[8:]) ^ 1<<63), Reason: string(v)}
	parts := strings.Split(string(k[16:]), "\x00")
	if len(parts) != 3 {
		return Gap{}, false
	}
	g.Scope = Scope{Area: parts[0], Device: parts[1], ScanClass: parts[2]}
	return g, true
}

// MarkGap records that samples of the scope are missing from from (included) to to; it travels with the journal like a
// sample. An empty stretch or a text over MaxName is refused: the position is then that of the last batch.
func (s *Store) MarkGap(scope Scope, from, to int64, reason string) (pos uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := Gap{Scope: scope, From: from, To: to, Reason: reason}
	if g.check() != nil || s.refuses() != nil {
		return s.pos
	}
	s.markGap(g)
	return s.pos
}

func (g Gap) check() error {
	if g.From >= g.To {
		return errors.New("a gap that is empty")
	}
	for _, t := range [...]string{g.Scope.Area, g.Scope.Device, g.Scope.ScanClass, g.Reason} {
		if len(t) > MaxName || strings.Contains(t, "\x00") {
			return errors.New("a text of a gap is too long or holds a NUL")
		}
	}
	return nil
}

func (s *Store) markGap(g Gap) {
	if g.check() != nil || !s.gaps.add(g) {
		return
	}
	s.gaps.fresh = append(s.gaps.fresh, g)
	s.chunk.buf = appendGap(s.chunk.buf, g)
	s.endBatch()
}

// Gaps returns the gap markers of a scope that touch the range.
func (s *Store) Gaps(scope Scope, from, to int64) []Gap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gaps.of(scope, from, to)
}
