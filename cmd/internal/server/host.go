package server

import (
	"context"
	"encoding/json"
	"fmt"

	"scada/redundancy"
	"scada/redundancy/role"
)

// host is the server as the pair drives it; see the package comment of redundancy for who calls what.
type host struct{ *Server }

var _ redundancy.Host = host{}

func (h host) area(name string) (*area, error) {
	a := h.areas[name]
	if a == nil {
		return nil, fmt.Errorf("area %q: %w", name, redundancy.ErrUnknownArea)
	}
	return a, nil
}

// Activate implements [redundancy.Host].
func (h host) Activate(ctx context.Context, name string, term role.Term, reason string) error {
	a, err := h.area(name)
	if err != nil {
		return err
	}
	h.healers[name].left.Store(0) // the active has nobody to ask
	return a.activate(ctx, term, reason)
}

// Deactivate implements [redundancy.Host].
func (h host) Deactivate(name, _ string) {
	if a, err := h.area(name); err == nil {
		a.deactivate()
		h.healers[name].left.CompareAndSwap(0, 1)
	}
}

// Snapshot implements [redundancy.Host].
func (h host) Snapshot(name string) (uint64, []redundancy.Record) {
	a, err := h.area(name)
	if err != nil {
		return 0, nil
	}
	return a.snapshot()
}

// ApplySnapshot implements [redundancy.Host].
func (h host) ApplySnapshot(name string, epoch, seq uint64, records []redundancy.Record) error {
	a, err := h.area(name)
	if err != nil {
		return err
	}
	err = h.conf.meet(name, records)
	if err == nil {
		err = a.applySnapshot(epoch, seq, records)
	}
	if err != nil {
		err = h.ofVersions(err)
		h.log.Error("The mirror of an area was refused", "area", name, "error", err)
		h.mirrorProblem(name, err.Error())
		return err
	}
	h.mirrorProblem(name, "")
	h.heal(name)
	return nil
}

// Apply implements [redundancy.Host].
func (h host) Apply(name string, epoch, firstSeq uint64, records []redundancy.Record) error {
	a, err := h.area(name)
	if err != nil {
		return err
	}
	if err := a.apply(epoch, firstSeq, records); err != nil {
		err = h.ofVersions(fmt.Errorf("records of area %s: %w", name, err))
		h.log.Error("Records of the active node could not be applied", "area", name, "error", err)
		h.mirrorProblem(name, err.Error())
		return err
	}
	return nil
}

// ofVersions adds to what this node cannot take over from the other one that they are of two versions, and what to do.
func (h host) ofVersions(err error) error {
	peer := h.pair.Status().Peer
	if peer.Version == "" || peer.Version == h.version {
		return err
	}
	return fmt.Errorf("%w; node %s runs version %s and this node %s: upgrade the older one, it cannot follow the newer (upgrade.md)",
		err, h.cfg.Peer(h.nodeName), peer.Version, h.version)
}

// Command implements [redundancy.Host].
func (h host) Command(ctx context.Context, name string, payload []byte) ([]byte, error) {
	a, err := h.area(name)
	if err != nil {
		return nil, err
	}
	var req request
	body, err := req.decode(payload)
	if err != nil {
		return nil, err
	}
	return h.execute(ctx, a, req, body)
}

// Health implements [redundancy.Host].
func (h host) Health() redundancy.Health { return h.presentHealth() }

// request is the envelope of what one node asks of the other: a line of JSON, then bytes where bytes are meant.
type request struct {
	Op      string          `json:"op"`
	Write   *writeRequest   `json:"write,omitempty"`
	Alarm   *alarmRequest   `json:"alarm,omitempty"`
	App     *appRequest     `json:"app,omitempty"`
	Config  *configRequest  `json:"config,omitempty"`
	People  *peopleRequest  `json:"people,omitempty"`
	Head    *headRequest    `json:"head,omitempty"`
	Device  *deviceRequest  `json:"device,omitempty"`
	Journal *journalRequest `json:"journal,omitempty"`
	History *historyRequest `json:"history,omitempty"`
	Mimics  *mimicsRequest  `json:"mimics,omitempty"`
}

// encode returns the request as bytes for [redundancy.Node.Forward].
func (r request) encode(body []byte) ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a request to the other node: %w", err)
	}
	return append(append(head, '\n'), body...), nil
}

func (r *request) decode(payload []byte) ([]byte, error) {
	for i, b := range payload {
		if b != '\n' {
			continue
		}
		if err := json.Unmarshal(payload[:i], r); err != nil {
			return nil, fmt.Errorf("request of the other node: %w", err)
		}
		return payload[i+1:], nil
	}
	return nil, fmt.Errorf("request of the other node: no end of the head in %d bytes", len(payload))
}

// execute does what the other node asked for.
func (s *Server) execute(ctx context.Context, a *area, req request, body []byte) ([]byte, error) {
	switch {
	case req.Op == opWrite && req.Write != nil:
		return answer(s.writeHere(ctx, a, *req.Write), nil)
	case req.Op == opAlarm && req.Alarm != nil:
		results, err := s.alarmHere(ctx, a, *req.Alarm)
		return answer(results, err)
	case req.Op == opApp && req.App != nil:
		return answer(s.appHere(ctx, *req.App), nil)
	case req.Op == opConfig && req.Config != nil:
		return s.conf.told(ctx, *req.Config, body)
	case req.Op == opDevice && req.Device != nil:
		return answer(s.deviceHere(ctx, a, *req.Device), nil)
	case req.Op == opPeople && req.People != nil:
		return answer(s.people.here(ctx, *req.People), nil)
	case req.Op == opJournalHead && req.Head != nil:
		return s.proofs.answer(*req.Head)
	case req.Op == opAlarmForks:
		return s.mergeForks(ctx, a, body)
	case req.Op == opJournalPull && req.Journal != nil:
		return s.journalPull(ctx, a, *req.Journal)
	case req.Op == opJournalPush:
		return s.journalPush(body)
	case req.Op == opHistoryWindows && req.History != nil:
		return s.historyWindows(ctx, *req.History)
	case req.Op == opHistoryPull && req.History != nil:
		return s.historyPull(ctx, *req.History)
	case req.Op == opMimics && req.Mimics != nil:
		return s.drawings.here(*req.Mimics, body)
	case req.Op == opHistoryPush:
		return s.historyPush(ctx, body)
	}
	return nil, fmt.Errorf("the other node asks for %q: it runs another version", req.Op)
}

func answer(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding an answer to the other node: %w", err)
	}
	return b, nil
}

// The operations of a [request].
const (
	opWrite          = "write"
	opAlarm          = "alarm"
	opApp            = "app"
	opConfig         = "config"
	opDevice         = "device"
	opPeople         = "people"
	opMimics         = "mimics"
	opJournalHead    = "journal.head"
	opAlarmForks     = "alarm.forks"
	opJournalPull    = "journal.pull"
	opJournalPush    = "journal.push"
	opHistoryWindows = "history.windows"
	opHistoryPull    = "history.pull"
	opHistoryPush    = "history.push"
)
