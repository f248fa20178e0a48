package notify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"scada/alarms"
)

// Box is the outbox of one area. Its calls must not overlap.
type Box struct {
	cfg   Config
	items []*Item // in the order in which they came, and those that were removed since the last sweep
	byID  map[string]*Item
	of    map[string][]*Item // by condition
	lost  uint64             // given up because there were too many
	dirty uint64
}

// New returns an empty outbox with a valid configuration.
func New(cfg Config) *Box {
	b := &Box{cfg: cfg}
	b.clear()
	return b
}

// Adopt goes on with another configuration: items of receivers it does not have are given up, what is owed to the others
// stays as it was promised, and new events follow the new routes.
func (b *Box) Adopt(cfg Config) {
	b.cfg = cfg
	for _, it := range b.live() {
		if !slices.Contains(cfg.Receivers, it.Receiver) {
			b.drop(it)
		}
	}
	b.dirty++
}

func (b *Box) clear() { b.items, b.byID, b.of = nil, map[string]*Item{}, map[string][]*Item{} }

// Lost is how many items were given up because there were too many.
func (b *Box) Lost() uint64 { return b.lost }

// Version grows with every change: what has to be stored again.
func (b *Box) Version() uint64 { return b.dirty }

// Event takes one alarm event into account. The notice describes it; both nodes give the same.
func (b *Box) Event(ev *alarms.Event, n Notice) {
	if ev.Note == alarms.NoteFork {
		return // a record of the past, of a side that lost
	}
	switch ev.Kind {
	case alarms.KindAck, alarms.KindShelve, alarms.KindSuppress, alarms.KindOOS, alarms.KindReset:
		b.calm(ev.Condition, ev.Occurrence, ev.Also, ev.Time)
	case alarms.KindClear:
		b.cleared(ev)
	}
	if ev.Annunciate {
		b.announce(ev, n)
	}
}

func (b *Box) announce(ev *alarms.Event, n Notice) {
	key := ev.NotificationKey()
	if ev.Kind != alarms.KindRaise { // there may be several in one occurrence
		key += "/" + strconv.FormatInt(ev.Time, 10)
	}
	for i := range b.cfg.Routes {
		r := &b.cfg.Routes[i]
		if !r.matches(&n) {
			continue
		}
		for _, to := range r.To {
			b.add(&Item{ID: key + "@" + to, Receiver: to, Route: r.Name, Notice: n, Due: ev.Time + int64(r.Delay), Group: r.Group, Waiting: true,
				Repeat: r.Repeat, Resolved: r.Resolved})
		}
		for _, to := range r.EscalateTo {
			b.add(&Item{ID: key + "/ESCALATED@" + to, Receiver: to, Route: r.Name, Notice: n, Due: ev.Time + int64(r.Escalate), Waiting: true, Escalated: true,
				Resolved: r.Resolved})
		}
	}
}

// add puts an item behind the others. One with the same id was owed already: two routes to one receiver are one message.
func (b *Box) add(it *Item) {
	if _, known := b.byID[it.ID]; known {
		return
	}
	b.dirty++
	b.items = append(b.items, it)
	b.byID[it.ID] = it
	b.of[it.Notice.Condition] = append(b.of[it.Notice.Condition], it)
	for i := 0; len(b.byID) > MaxItems; i++ {
		if old := b.items[i]; b.byID[old.ID] == old {
			b.lost++
			b.drop(old)
		}
	}
	if len(b.items) > 2*MaxItems {
		b.items = b.live()
	}
}

// drop removes an item.
func (b *Box) drop(it *Item) {
	b.dirty++
	delete(b.byID, it.ID)
	list := b.of[it.Notice.Condition]
	list = slices.DeleteFunc(slices.Clone(list), func(x *Item) bool { return x == it })
	if b.of[it.Notice.Condition] = list; len(list) == 0 {
		delete(b.of, it.Notice.Condition)
	}
}

// live returns the items without those that were removed.
func (b *Box) live() []*Item {
	list := make([]*Item, 0, len(b.byID))
	for _, it := range b.items {
		if b.byID[it.ID] == it {
			list = append(list, it)
		}
	}
	return list
}

// calm ends what is said because nobody has acknowledged: what is delayed, escalated or repeated. What was to be said
// at once is still owed.
func (b *Box) calm(condition string, occurrence uint64, also []uint64, at int64) {
	b.each(condition, func(it *Item) bool {
		if it.Notice.Occurrence != occurrence && !slices.Contains(also, it.Notice.Occurrence) || it.Notice.Resolved() {
			return true
		}
		it.Repeat = 0
		if !it.Waiting || it.Due <= at {
			return true
		}
		it.Waiting = false
		return it.Rounds > 0 && it.Resolved // it has been said: so must be its end
	})
}

// cleared ends what nobody has been told yet, and tells those who have been that it is over.
func (b *Box) cleared(ev *alarms.Event) {
	var ends []*Item
	b.each(ev.Condition, func(it *Item) bool {
		if it.Notice.Occurrence != ev.Occurrence || it.Notice.Resolved() {
			return true
		}
		owed := it.Waiting && it.Due <= ev.Time && it.Rounds == 0
		if it.Resolved && (owed || it.Rounds > 0) {
			end := *it
			end.Notice.Kind, end.Notice.State, end.Notice.Ended = alarms.KindClear, ev.State, ev.Time
			end.ID = ev.NotificationKey() + "@" + it.Receiver
			end.Due, end.Waiting, end.Repeat, end.Resolved, end.Rounds, end.SentAt = ev.Time, true, 0, false, 0, 0
			ends = append(ends, &end)
		}
		it.Repeat, it.Resolved = 0, false
		return owed
	})
	for _, it := range ends {
		b.add(it)
	}
}

// each calls f with the items of a condition and removes those for which it says false.
func (b *Box) each(condition string, f func(*Item) bool) {
	for _, it := range b.of[condition] {
		b.dirty++
		if !f(it) {
			b.drop(it)
		}
	}
}

// Batch is what goes to one receiver in one message.
type Batch struct {
	Receiver string
	Items    []Item
}

// IDs returns the ids of the items.
func (b *Batch) IDs() []string {
	ids := make([]string, len(b.Items))
	for i := range b.Items {
		ids[i] = b.Items[i].ID
	}
	return ids
}

// Due returns what is to be sent now, a message for each receiver; busy ones are left out. next is when there will be
// more, 0 for not before the next event.
func (b *Box) Due(now int64, busy func(receiver string) bool) (batches []Batch, next int64) {
	first := map[string]int64{} // receiver -> when its message is complete
	b.items = b.live()
	for _, it := range b.items {
		if !it.Waiting || busy(it.Receiver) {
			continue
		}
		if at := it.Due + int64(it.Group); first[it.Receiver] == 0 || at < first[it.Receiver] {
			first[it.Receiver] = at
		}
	}
	at := map[string]int{}
	for _, it := range b.items {
		complete, open := first[it.Receiver]
		switch {
		case !it.Waiting || !open:
			continue
		case complete > now:
			if next == 0 || complete < next {
				next = complete
			}
			continue
		case it.Due > now:
			continue // the receiver is asked again when it has taken this message
		}
		i, begun := at[it.Receiver]
		if !begun {
			i = len(batches)
			at[it.Receiver] = i
			batches = append(batches, Batch{Receiver: it.Receiver})
		}
		if len(batches[i].Items) < MaxBatch {
			batches[i].Items = append(batches[i].Items, *it)
		}
	}
	return batches, next
}

// Done marks what a receiver has taken: on the active when it has answered, on the standby when it hears of that.
func (b *Box) Done(ids []string, at int64) {
	for _, id := range ids {
		it, ok := b.byID[id]
		if !ok {
			continue
		}
		b.dirty++
		it.Rounds, it.SentAt, it.Waiting = it.Rounds+1, at, it.Repeat > 0
		switch {
		case it.Waiting:
			it.Due = at + int64(it.Repeat)
			delete(b.byID, it.ID)
			it.ID = round(it.ID, it.Rounds)
			b.byID[it.ID] = it
		case !it.Resolved:
			b.drop(it)
		}
	}
}

// round returns the id under which something is said once more. The name of a receiver has no ~ in it.
func round(id string, n int) string {
	if i := strings.LastIndexByte(id, '~'); i > strings.LastIndexByte(id, '@') {
		id = id[:i]
	}
	return id + "~" + strconv.Itoa(n)
}

// Pending returns how many items wait for each receiver, and since when the oldest is due.
func (b *Box) Pending() map[string]Backlog {
	all := map[string]Backlog{}
	for _, it := range b.byID {
		if !it.Waiting {
			continue
		}
		p := all[it.Receiver]
		if p.Count++; p.Oldest == 0 || it.Due < p.Oldest {
			p.Oldest = it.Due
		}
		all[it.Receiver] = p
	}
	return all
}

// Backlog is what waits for one receiver.
type Backlog struct {
	Count  int
	Oldest int64
}

// Snapshot returns the content of the outbox.
func (b *Box) Snapshot() ([]byte, error) {
	out, err := json.Marshal(b.live())
	if err != nil {
		return nil, fmt.Errorf("encoding the outbox: %w", err)
	}
	return out, nil
}

// Restore replaces the content. Items of receivers that are no longer configured are given up.
func (b *Box) Restore(data []byte) error {
	var items []*Item
	if len(data) > 0 {
		if err := json.Unmarshal(data, &items); err != nil {
			return fmt.Errorf("reading the outbox: %w", err)
		}
	}
	if len(items) > MaxItems {
		return fmt.Errorf("reading the outbox: %d items, the limit is %d", len(items), MaxItems)
	}
	b.clear()
	for _, it := range items {
		if it != nil && slices.Contains(b.cfg.Receivers, it.Receiver) {
			b.add(it)
		}
	}
	b.dirty++
	return nil
}
