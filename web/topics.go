package web

import (
	"maps"
	"slices"
	"time"

	"scada/web/api"
)

const topicRetry = time.Second // after a failed reading of the alarms

// sendTopics brings every topic up to date.
func (w *writer) sendTopics(v *view, now time.Time) bool {
	for _, s := range w.topicSubs() {
		ok := true
		switch s.topic {
		case "alarms":
			ok = w.sendAlarms(s, now)
		case "journal":
			ok = w.sendJournal(s)
		case "role":
			if s.gen != v.roleGen {
				s.gen = v.roleGen
				ok = w.message(roleMessage{T: "role", ID: int(s.id), Role: v.pair})
			}
		case "devices":
			if s.gen != v.deviceGen {
				s.gen = v.deviceGen
				ok = w.message(devicesMessage{T: "devices", ID: int(s.id), Devices: filled(v.devices)})
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

func (w *writer) topicSubs() []*subscription {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*subscription
	for _, id := range slices.Sorted(maps.Keys(w.subs)) {
		if s := w.subs[id]; s.topic != "" && s.announce == nil {
			list = append(list, s)
		}
	}
	return list
}

// sendAlarms sends the whole picture first and transitions from then on. The number of the feed is read before the picture: what
// happens between the two comes again as a transition, which carries the alarm as it is and so does no harm.
func (w *writer) sendAlarms(s *subscription, now time.Time) bool {
	feed := w.h.s.backend.AlarmFeed()
	for !s.fresh {
		entries, ok := feed.Since(nil, s.seq, maxTopicItems)
		if !ok {
			s.fresh = true
			break
		}
		if len(entries) == 0 {
			return true
		}
		changes := make([]alarmChange, len(entries))
		for i, e := range entries {
			changes[i] = alarmChange{Seq: e.Seq, AlarmChange: e.Item}
		}
		s.seq = entries[len(entries)-1].Seq
		if !w.message(alarmsMessage{T: "alarms", ID: int(s.id), Seq: s.seq, Changes: changes}) {
			return false
		}
	}
	if now.Before(s.retryAt) {
		return true
	}
	return w.resetAlarms(s, feed.Seq(), now)
}

func (w *writer) resetAlarms(s *subscription, seq uint64, now time.Time) bool {
	f := api.AlarmFilter{Limit: maxTopicItems}
	for first := true; ; first = false {
		page, err := w.h.s.backend.Alarms(w.done, f)
		if err != nil {
			p := w.h.s.problem(err, "socket alarms")
			s.retryAt = now.Add(topicRetry)
			return w.message(errorMessage{T: "error", ID: int(s.id), Code: p.Code, Detail: p.Detail})
		}
		if !w.message(alarmsMessage{T: "alarms", ID: int(s.id), Reset: first, More: page.Next != "", Seq: seq, Alarms: filled(page.Alarms)}) {
			return false
		}
		if page.Next == "" {
			s.seq, s.fresh = seq, false
			return true
		}
		f.Cursor = page.Next
	}
}

// sendJournal sends new entries; a reset says that the client has to read the journal up to now itself.
func (w *writer) sendJournal(s *subscription) bool {
	feed := w.h.s.backend.JournalFeed()
	for {
		if s.fresh {
			s.fresh, s.seq = false, feed.Seq()
			if !w.message(journalMessage{T: "journal", ID: int(s.id), Reset: true, Seq: s.seq, Entries: []api.JournalEntry{}}) {
				return false
			}
		}
		entries, ok := feed.Since(nil, s.seq, maxTopicItems)
		if !ok {
			s.fresh = true
			continue
		}
		if len(entries) == 0 {
			return true
		}
		list := make([]api.JournalEntry, len(entries))
		for i, e := range entries {
			list[i] = e.Item
		}
		s.seq = entries[len(entries)-1].Seq
		if !w.message(journalMessage{T: "journal", ID: int(s.id), Seq: s.seq, Entries: list}) {
			return false
		}
	}
}
