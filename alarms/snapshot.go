package alarms

import (
	"encoding/binary"
	"fmt"
)

// Snapshot returns the complete image: term, tags and conditions with their pending timers as absolute instants. Two
// engines with the same configuration and image give the same bytes.
func (e *Engine) Snapshot() []byte {
	b := []byte{formatVersion}
	b = binary.AppendUvarint(b, e.term)
	b = appendTime(b, e.graceUntil)
	b = appendFlood(b, &e.flood)
	b = binary.AppendUvarint(b, uint64(len(e.tags)))
	for _, f := range e.tags {
		b = appendTag(b, &f.TagImage)
	}
	b = binary.AppendUvarint(b, uint64(len(e.conds)+len(e.orphans)))
	for _, c := range e.conds {
		b = appendCondition(b, &c.ConditionImage)
	}
	for i := range e.orphans {
		b = appendCondition(b, &e.orphans[i])
	}
	return b
}

// Restore replaces the image. Tags and conditions are matched by name; those the image does not have start fresh, and
// conditions this configuration does not have are closed with a record at the next take-over. Bytes that are not a
// whole snapshot change nothing.
func (e *Engine) Restore(b []byte) error {
	r := newReader(b)
	r.version()
	term, grace := r.Uvarint(), r.time()
	flood := FloodImage{}
	if r.v >= formatFlood {
		flood = readFlood(r)
	}
	var tags []TagImage
	for range r.count("tags", maxConditions) {
		if tags = append(tags, readTag(r)); r.Err() != nil {
			break
		}
	}
	var conds []ConditionImage
	for range r.count("conditions", maxConditions) {
		if conds = append(conds, readCondition(r)); r.Err() != nil {
			break
		}
	}
	if r.Err() == nil && len(r.Left()) > 0 {
		r.Fail(fmt.Sprintf("%d bytes after the end", len(r.Left())))
	}
	if r.Err() != nil {
		return fmt.Errorf("alarm snapshot: %w", r.Err())
	}
	e.term, e.graceUntil = term, grace
	e.adoptFlood(&flood)
	e.restoreTags(tags)
	e.restoreConditions(conds)
	return nil
}

func (e *Engine) restoreTags(tags []TagImage) {
	for _, f := range e.tags {
		f.TagImage = TagImage{Name: f.Name}
	}
	for i := range tags {
		if f, ok := e.byName[tags[i].Name]; ok {
			f.TagImage = tags[i]
		}
	}
}

func (e *Engine) restoreConditions(conds []ConditionImage) {
	e.orphans = nil
	for _, c := range e.conds {
		e.adopt(c, &ConditionImage{ID: c.ID})
	}
	for i := range conds {
		if c, ok := e.byCond[conds[i].ID]; ok {
			e.adopt(c, &conds[i])
		} else {
			e.orphans = append(e.orphans, conds[i])
		}
	}
}
