package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"scada/acquisition/live"
)

// writer is the state only the writing goroutine has.
type writer struct {
	*client
	beatAt, pingAt time.Time
	told           map[string]areaRole // the roles in the latest heartbeat or the welcome
	revision       int                 // of the plant the subscriptions are resolved in
	watch          *live.Watch
	alarms         <-chan struct{}
	journal        <-chan struct{}
	last           uint16 // subscription served last, so that each gets its turn
	torn           bool   // a message went out in part: nothing can follow it
}

// write sends until the connection ends. It alone writes to the connection.
func (c *client) write() {
	w := &writer{client: c}
	now := c.h.s.now()
	w.beatAt, w.pingAt = now.Add(heartbeat), now.Add(pingPeriod)
	var stopAlarms, stopJournal func()
	w.alarms, stopAlarms = c.h.s.backend.AlarmFeed().Watch()
	defer stopAlarms()
	w.journal, stopJournal = c.h.s.backend.JournalFeed().Watch()
	defer stopJournal()
	defer func() {
		if w.watch != nil {
			w.watch.Close()
		}
	}()
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	for {
		wait, watch, more := w.pass()
		if !more {
			return
		}
		timer.Reset(wait)
		if !w.sleep(timer.C, watch) {
			return
		}
	}
}

// sleep waits for the next thing to do; false when the connection is over.
func (w *writer) sleep(timer <-chan time.Time, watch <-chan struct{}) bool {
	var ended chan struct{}
	if w.who.session != nil {
		ended = w.who.session.ended
	}
	select {
	case <-w.done.Done():
		// Either the reader has ended, or the server does and the hub has left its reason.
		w.finish()
		return false
	case <-ended:
		w.end(&closeError{closeUnauthorized, "the session ended"})
	case <-timer:
	case <-w.kick:
	case <-watch:
	case <-w.alarms:
	case <-w.journal:
	}
	return true
}

// pass sends all there is to send. It returns how long to wait, the table's watch if a change of values is worth waking
// for, and false when the connection is over.
func (w *writer) pass() (time.Duration, <-chan struct{}, bool) {
	now := w.h.s.now()
	if !now.Before(w.beatAt) && !w.allowed(now) {
		w.end(&closeError{closeUnauthorized, "the session ended"})
	}
	w.mu.Lock()
	queued, ping, closing := w.outbox, w.ping, w.closing
	w.outbox, w.ping = nil, nil
	w.mu.Unlock()
	if ping != nil && w.conn.WriteControl(websocket.PongMessage, []byte(*ping), now.Add(stuckTime)) != nil {
		w.end(&closeError{closeTooSlow, "did not read"})
		return 0, nil, false
	}
	for _, m := range queued {
		if !w.text(m) {
			return 0, nil, false
		}
	}
	if closing != nil {
		w.finish()
		return 0, nil, false
	}
	present := w.h.now()
	v := &present
	if v.plant == nil {
		return heartbeat, nil, true // not welcomed yet
	}
	if !w.pulse(v, now) || !w.follow(v) || !w.sendTopics(v, now) {
		return 0, nil, false
	}
	next, ok := w.sendData(v)
	if !ok {
		return 0, nil, false
	}
	wake := w.beatAt
	var watch <-chan struct{}
	switch {
	case next.IsZero(): // no credit, or no tags
	case next.After(w.h.s.now()):
		wake = earlier(wake, next)
	default:
		watch = w.watch.C()
	}
	return max(wake.Sub(w.h.s.now()), 0), watch, true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// pulse sends the heartbeat and the ping when it is time.
func (w *writer) pulse(v *view, now time.Time) bool {
	if !now.Before(w.pingAt) {
		w.pingAt = now.Add(pingPeriod)
		if w.conn.WriteControl(websocket.PingMessage, nil, now.Add(stuckTime)) != nil {
			w.end(&closeError{closeTooSlow, "did not read"})
			return false
		}
	}
	if w.told == nil {
		w.told = v.roles
	}
	// A change of role cannot wait for its second: the page marks what it shows by it.
	if now.Before(w.beatAt) && maps.Equal(w.told, v.roles) {
		return true
	}
	w.beatAt, w.told = now.Add(heartbeat), v.roles
	return w.pieces(websocket.TextMessage, appendHeartbeat(make([]byte, 0, heartbeatSize+len(v.rolesText)), v, now))
}

// heartbeatSize is about what a heartbeat has in bytes, without the roles.
const heartbeatSize = 160

// appendHeartbeat writes the heartbeat as JSON by hand: reflection would double the stack of every writer, which hundreds of sockets hold
// for nothing between two of them.
func appendHeartbeat(b []byte, v *view, now time.Time) []byte {
	b = now.UTC().AppendFormat(append(b, `{"t":"hb","time":"`...), time.RFC3339Nano)
	b = strconv.AppendUint(append(b, `","seq":`...), v.plant.Live.Seq(), 10)
	b = strconv.AppendUint(append(b, `,"epoch":`...), v.epoch, 10)
	b = append(append(b, `,"roles":`...), v.rolesText...)
	b = strconv.AppendInt(append(b, `,"lag_ms":`...), v.lagMs, 10)
	b = strconv.AppendBool(append(b, `,"ready":`...), v.ready)
	return append(b, '}')
}

// follow announces new subscriptions, and resolves all of them again when the plant has another revision.
func (w *writer) follow(v *view) bool {
	var messages []any
	if w.revision != v.revision {
		if w.watch != nil {
			w.watch.Close()
			messages = append(messages, plantMessage{T: "plant", Plant: strconv.Itoa(v.revision), Instance: w.h.instance(v.revision)})
		}
		w.watch = v.plant.Live.Watch()
		w.revision = v.revision
	}
	w.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(w.subs)) {
		s := w.subs[id]
		if s.topic == "" && s.revision != v.revision {
			w.handles -= s.count()
			s.resolve(w.h, v)
			w.handles += s.count()
		}
		if s.announce != nil {
			messages = append(messages, s.announce)
			s.announce = nil
		}
	}
	w.mu.Unlock()
	for _, m := range messages {
		ok := false
		if subd, tags := m.(*subdMessage); tags && subd.set != nil {
			ok = w.announce(subd, v)
		} else {
			ok = w.message(m)
		}
		if !ok {
			return false
		}
	}
	return true
}

// announce sends the answer to a subscription to tags. Their handles are most of it, and the same for all who show the same.
func (w *writer) announce(m *subdMessage, v *view) bool {
	var text []byte
	apart(func() {
		m.Handles = json.RawMessage("[]")
		text, _ = json.Marshal(m) // strings and numbers: it has no error
	})
	const mark = `"handles":`
	before, after, _ := bytes.Cut(text, []byte(mark+"[]"))
	return w.pieces(websocket.TextMessage, append(before, mark...), w.h.sets.handles(m.set, v.plant), slices.Clone(after))
}

// sendData sends frames while there is credit, each subscription in its turn. It returns when the next one is due: zero
// for never, a past instant for as soon as a value changes.
func (w *writer) sendData(v *view) (time.Time, bool) {
	for {
		var next time.Time
		sent := false
		for _, s := range w.inTurn(v.revision) {
			if !w.credit() {
				return time.Time{}, true
			}
			if now := w.h.s.now(); now.Before(s.due) {
				next = soonest(next, s.due)
				continue
			}
			if !s.snapshot && s.cursor >= v.plant.Live.Seq() {
				next = soonest(next, time.Unix(1, 0)) // due at any change
				continue
			}
			told, ok := w.sendNext(s, v)
			if !ok {
				return time.Time{}, false
			}
			next = soonest(next, s.due)
			if told {
				w.last, sent = s.id, true
			}
		}
		if !sent {
			return next, true
		}
	}
}

func soonest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// inTurn lists the tag subscriptions beginning after the one served last. One that came in since [writer.follow] is not
// announced and has to wait for the next pass.
func (w *writer) inTurn(revision int) []*subscription {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*subscription, 0, len(w.subs))
	for _, s := range w.subs {
		if s.topic == "" && s.announce == nil && s.revision == revision {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *subscription) int {
		return cmp.Compare(a.id-w.last-1, b.id-w.last-1) // wraps round
	})
	return list
}

func (w *writer) credit() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent-w.acked < maxInFlight
}

// sendNext sends one frame of the subscription, if there is something to tell. The memory for it is shared by all sockets: it is needed
// for moments only, and 500 clients with 10,000 tags each would hold 400 MB of it. The changes, most of it, go back before
// the write, which lasts as long as a slow reader likes.
func (w *writer) sendNext(s *subscription, v *view) (told, ok bool) {
	if s.set.common() && !w.json {
		return w.sendShared(s, v)
	}
	changes := w.h.changes.Get().(*[]live.Change)
	f, told := w.collect(s, v, changes)
	return w.sendOwn(f, changes, told)
}

// sendOwn sends a frame made for this socket alone, and gives its changes back.
func (w *writer) sendOwn(f frame, changes *[]live.Change, told bool) (bool, bool) {
	if !told {
		w.h.changes.Put(changes)
		return false, true
	}
	encoded := w.h.encoded.Get().(*[]byte)
	defer w.h.encoded.Put(encoded)
	kind, texts := w.encode(f, encoded)
	w.h.changes.Put(changes)
	if texts != nil && !w.message(*texts) {
		return true, false
	}
	return true, w.raw(kind, *encoded)
}

// collect takes what changed since the subscription's last frame into *buf. It returns false when that is nothing to tell.
func (w *writer) collect(s *subscription, v *view, buf *[]live.Change) (frame, bool) {
	f := frame{kind: s.kind(), sub: s.id, epoch: v.epoch}
	if cap(*buf) == 0 {
		*buf = make([]live.Change, 0, min(v.plant.Live.Len(), changeBatch))
	}
	f.changes = (*buf)[:0]
	for !f.more {
		kept := len(f.changes)
		batch, next, all := s.since(v.plant.Live, f.changes)
		f.changes, *buf = batch[:kept], batch // it may have moved as it grew
		for i := kept; i < len(batch); i++ {
			c := &batch[i]
			if s.set.tags.has(c.Tag) && !f.take(c) {
				f.more = true
				break
			}
			s.cursor = c.Seq
		}
		if f.more {
			break
		}
		if s.cursor = next; all {
			break
		}
	}
	f.at = w.h.s.now()
	f.seq = s.cursor
	told := len(f.changes) > 0 || f.kind == kindSnapshot
	if !f.more {
		s.snapshot = false
		if told {
			s.sent(f.at)
		} else {
			s.due = f.at.Add(burstGap) // other tags changed: they often go on doing so
		}
	}
	return f, told
}

// since appends to dst what changed after the cursor, other tags included, and says from where to ask next and whether that was all.
// Few tags are looked at one by one when more than they have changed.
func (s *subscription) since(table *live.Table, dst []live.Change) (batch []live.Change, next uint64, all bool) {
	ids := s.set.ids
	if len(ids) < table.Len()/2 && table.Seq()-s.cursor > uint64(len(ids)) {
		batch, next = table.Among(dst, ids, s.cursor)
		return batch, next, true
	}
	batch, next = table.Since(dst, s.cursor, len(dst)+changeBatch)
	return batch, next, len(batch)-len(dst) < changeBatch
}

// take adds a change unless the frame is full. Every frame takes at least one. Changes are taken from further up the
// same array they are put into.
func (f *frame) take(c *live.Change) bool {
	text := 0
	if needsText(c.Value) {
		text = len(c.Value.Text())
	}
	if len(f.changes) > 0 && (len(f.changes) >= maxFrameValues || f.text+text > maxFrameText) {
		return false
	}
	f.changes = append(f.changes, *c)
	f.text += text
	return true
}

// encode puts the frame into *buf and returns its kind, and what is to be said in text before it.
func (w *writer) encode(f frame, buf *[]byte) (kind int, texts *textMessage) {
	f.number = w.nextNumber(len(f.changes))
	if w.json {
		*buf = w.encodeJSON(f)
		return websocket.TextMessage, nil
	}
	if list := f.texts(); len(list) > 0 {
		texts = &textMessage{T: "text", ID: f.sub, Frame: f.number, Values: list}
	}
	*buf = appendFrame((*buf)[:0], f)
	return websocket.BinaryMessage, texts
}

// nextNumber counts a frame of so many values and returns its number.
func (w *writer) nextNumber(values int) uint32 {
	m := w.h.s.metrics
	m.frames.Inc()
	m.values.Add(float64(values))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
	return w.sent
}

func (w *writer) encodeJSON(f frame) []byte {
	name := "delta"
	if f.kind == kindSnapshot {
		name = "snapshot"
	}
	m := dataMessage{T: "data", ID: f.sub, Kind: name, More: f.more, Frame: f.number, Seq: f.seq, Epoch: f.epoch, Time: f.at.UTC(), Values: f.rows()}
	data, err := json.Marshal(m)
	if err != nil {
		w.h.s.log.Error("values not sent", "error", err)
		m.Values = [][4]any{} // the frame has its number and must be acknowledged
		data, _ = json.Marshal(m)
	}
	return data
}

func (w *writer) message(m any) bool {
	data, err := json.Marshal(m)
	if err != nil {
		w.h.s.log.Error("message not sent", "error", err)
		return true
	}
	return w.text(data)
}

func (w *writer) text(data []byte) bool { return w.raw(websocket.TextMessage, data) }

// raw writes one message. A client that does not take it in time is given up.
func (w *writer) raw(kind int, data []byte) bool {
	w.conn.SetWriteDeadline(w.h.s.now().Add(stuckTime))
	return w.written(len(data), w.conn.WriteMessage(kind, data))
}

func (w *writer) written(bytes int, err error) bool {
	if err != nil {
		w.end(&closeError{closeTooSlow, "did not read"})
		w.finish()
		return false
	}
	w.h.s.metrics.bytes.Add(float64(bytes))
	return true
}

// finish tells the client why and gives it a moment to answer; then the reader gives up.
func (w *writer) finish() {
	w.mu.Lock()
	reason := w.closing
	if reason == nil {
		reason = &closeError{closeGoingAway, "the server stops"}
		w.closing = reason
	}
	w.mu.Unlock()
	now := w.h.s.now()
	if w.torn {
		w.conn.SetReadDeadline(now.Add(closeTime))
		return
	}
	// An error means the client is gone already.
	_ = w.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(reason.code, reason.reason), now.Add(closeTime))
	w.conn.SetReadDeadline(now.Add(closeTime))
}
