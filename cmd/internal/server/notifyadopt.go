package server

import (
	"reflect"

	"scada/alarms/notify/send"
	"scada/cmd/internal/config"
)

// prepare makes the senders of receivers that are new, or configured differently. Nothing is sent with them yet.
func (n *notifier) prepare(cfg config.Notify) (map[string]send.Sender, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	senders := map[string]send.Sender{}
	for _, r := range cfg.Receivers {
		if have, ok := n.receivers[r.Name]; ok && reflect.DeepEqual(have, r) {
			continue
		}
		s, err := n.make(r)
		if err != nil {
			return nil, err
		}
		senders[r.Name] = s
	}
	return senders, nil
}

// adopt goes on with other receivers and routes. What is under way to a receiver ends as it began. The caller holds the area's
// mutex, or nobody else knows the notifier yet.
func (n *notifier) adopt(cfg config.Notify, fresh map[string]send.Sender) {
	n.box.Adopt(cfg.Routing())
	n.mu.Lock()
	defer n.mu.Unlock()
	receivers, senders, states := map[string]send.Receiver{}, map[string]send.Sender{}, map[string]*receiverState{}
	for _, r := range cfg.Receivers {
		receivers[r.Name], senders[r.Name], states[r.Name] = r, n.send[r.Name], n.states[r.Name]
		if s := fresh[r.Name]; s != nil {
			senders[r.Name] = s
		}
		if states[r.Name] == nil {
			states[r.Name] = &receiverState{}
		}
	}
	for name, s := range n.send {
		if st := n.states[name]; senders[name] != s && !st.busy {
			s.Close()
		}
	}
	n.receivers, n.send, n.states = receivers, senders, states
	n.nudge()
}

// sender is what reaches a receiver at present, nil if there is no such receiver any more.
func (n *notifier) sender(receiver string) send.Sender {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.send[receiver]
}

func (n *notifier) closeAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.send {
		s.Close()
	}
}
