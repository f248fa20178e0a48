package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history/journal"
	"scada/redundancy"
	"scada/redundancy/role"
	"scada/web"
	"scada/web/api"
)

// writeRequest is a write as it travels from the standby to the active. The value is in the link's own form.
type writeRequest struct {
	Tag      string    `json:"tag"`
	Value    []byte    `json:"value"`
	By       string    `json:"by"`
	Remote   string    `json:"remote"`
	Deadline time.Time `json:"deadline"`
	Epoch    uint64    `json:"epoch"`
	Reason   string    `json:"reason"`
}

// writeAnswer is what came of it: a result or a refusal.
type writeAnswer struct {
	Result  api.WriteResult `json:"result"`
	Problem *api.Problem    `json:"problem,omitempty"`
}

type alarmRequest struct {
	By      string           `json:"by"`
	Command api.AlarmCommand `json:"command"`
}

// write executes a write here or on the active node.
func (s *Server) write(ctx context.Context, by web.Actor, w web.Write) (api.WriteResult, error) {
	a := s.areas[w.Tag.Area]
	req := writeRequest{
		Tag: w.Tag.Name, Value: tag.AppendUpdate(nil, tag.Update{Tag: w.Tag.ID, Sample: tag.Sample{Value: w.Value}}),
		By: by.User, Remote: by.Remote, Deadline: w.Deadline, Epoch: w.Epoch, Reason: w.Reason,
	}
	ctx, cancel := context.WithDeadline(ctx, w.Deadline)
	defer cancel()
	ans, err := ask[writeAnswer](ctx, s, a.name, request{Op: opWrite, Write: &req}, nil)
	if errors.Is(err, redundancy.ErrLostAnswer) || errors.Is(err, context.DeadlineExceeded) {
		// It may be on its way to the device or there already. Nobody sends it again; the operator looks at the value.
		return api.WriteResult{Tag: w.Tag.Name, Result: api.WriteUnknown, Value: valueJSON(w.Value), Time: time.Now().UTC(), Detail: err.Error()}, nil
	}
	if err != nil {
		return api.WriteResult{}, forwardProblem(err)
	}
	if ans.Problem != nil {
		return api.WriteResult{}, ans.Problem
	}
	return ans.Result, nil
}

// How long a command waits for an active node: a switch-over takes this long at most until the nodes know of each other.
const (
	settleWithin = 2 * time.Second
	settleEvery  = 50 * time.Millisecond
)

// ask has the active node of an area execute a request, and reads its answer. [forwardProblem] tells clients of the error.
func ask[T any](ctx context.Context, s *Server, area string, req request, body []byte) (T, error) {
	var ans T
	payload, err := req.encode(body)
	if err != nil {
		return ans, err
	}
	b, err := s.forward(ctx, area, payload)
	if err != nil {
		return ans, err
	}
	if err := json.Unmarshal(b, &ans); err != nil {
		return ans, fmt.Errorf("answer of the active node (%s): %w", req.Op, err)
	}
	return ans, nil
}

// forward has the active node execute a request. While no node is active for a moment, as in the middle of a
// switch-over, it waits: a request that nobody took cannot have been executed.
func (s *Server) forward(ctx context.Context, area string, payload []byte) ([]byte, error) {
	for began := time.Now(); ; {
		b, err := s.pair.Forward(ctx, area, payload)
		untaken := errors.Is(err, redundancy.ErrNoPeer) || errors.Is(err, redundancy.ErrNotActive)
		if !untaken || time.Since(began) > settleWithin {
			return b, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(settleEvery):
		}
	}
}

func forwardProblem(err error) error {
	switch {
	case errors.Is(err, redundancy.ErrLostAnswer):
		return api.NewProblem(api.CodeUnavailable, "%s", err)
	case errors.Is(err, redundancy.ErrNoPeer), errors.Is(err, redundancy.ErrNotActive):
		return api.NewProblem(api.CodeNotActive, "no active node can be reached")
	case errors.Is(err, context.DeadlineExceeded):
		return api.NewProblem(api.CodeLate, "the active node did not answer in time: the outcome is unknown")
	}
	return err
}

// writeHere executes a write on this node, which is active for the tag's area or refuses.
func (s *Server) writeHere(ctx context.Context, a *area, req writeRequest) writeAnswer {
	u, _, err := tag.ReadUpdate(req.Value)
	g := s.now()
	def, known := g.definition(req.Tag)
	if err != nil || !known || def.Area != a.name || !def.Writable {
		return writeAnswer{Problem: api.NewProblem(api.CodeNotFound, "tag %q cannot be written here", req.Tag)}
	}
	epoch, release, err := a.beginWrite(req)
	if err != nil {
		var p *api.Problem
		if !errors.As(err, &p) {
			p = api.NewProblem(api.CodeInternal, "%s", err)
		}
		return writeAnswer{Problem: p}
	}
	defer release()
	old := g.last(def.Name)
	fence := func() error {
		if !time.Now().Before(req.Deadline) {
			return errors.New("the deadline has passed")
		}
		if !s.pair.MayWrite(a.name) {
			return errors.New("this node may not write: its lease is over")
		}
		return nil
	}
	res := a.group.Write(ctx, def.Device, acquisition.Write{Name: def.Name, Value: u.Value, Fence: fence})
	s.journalWrite(a, def, req, epoch, old, u.Value, res)
	return s.writeOutcome(def, epoch, u.Value, res)
}

// beginWrite counts a write as under way: a hand-back waits for it.
func (a *area) beginWrite(req writeRequest) (epoch uint64, release func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.active:
		return 0, nil, api.NewProblem(api.CodeNotActive, "this node is not active for area %s", a.name)
	case req.Epoch != 0 && req.Epoch != a.epoch:
		return 0, nil, api.NewProblem(api.CodeWrongEpoch, "area %s has epoch %d, the write %d", a.name, a.epoch, req.Epoch)
	case !time.Now().Before(req.Deadline):
		return 0, nil, api.NewProblem(api.CodeLate, "the deadline has passed")
	}
	a.writes++
	return a.epoch, func() {
		a.mu.Lock()
		a.writes--
		a.mu.Unlock()
	}, nil
}

func (s *Server) journalWrite(a *area, def tag.Definition, req writeRequest, epoch uint64, old tag.Sample, value tag.Value, res acquisition.WriteResult) {
	e := s.newEntry(journal.ClassWrite, "write", a.name, def.Name, req.By, req.Reason)
	e.Tag, e.Epoch, e.Old, e.New, e.Result = def.Name, epoch, old.Value.String(), value.String(), res.Outcome.String()
	if res.Err != nil {
		e.Message = joinText(e.Message, res.Err.Error())
	}
	a.record(e)
}

func joinText(a, b string) string {
	if a != "" && b != "" {
		a += ": "
	}
	a += b
	return a[:min(len(a), alarms.MaxText)]
}

func (s *Server) writeOutcome(def tag.Definition, epoch uint64, value tag.Value, res acquisition.WriteResult) writeAnswer {
	r := api.WriteResult{Tag: def.Name, Value: valueJSON(value), Time: time.Now().UTC(), Node: s.nodeName, Epoch: epoch}
	if !res.ReadBack.Value.IsNone() {
		r.ReadBack, r.Quality = valueJSON(res.ReadBack.Value), res.ReadBack.Quality.String()
	}
	if res.Err != nil {
		r.Detail = res.Err.Error()
	}
	switch res.Outcome {
	case acquisition.Confirmed:
		r.Result = api.WriteConfirmed
	case acquisition.Mismatch:
		r.Result = api.WriteUnconfirmed
	case acquisition.Unknown:
		r.Result = api.WriteUnknown
	case acquisition.Refused:
		return writeAnswer{Problem: api.NewProblem(api.CodeNoLease, "%s", r.Detail)}
	case acquisition.Rejected:
		return writeAnswer{Problem: api.NewProblem(api.CodeDevice, "%s", r.Detail)}
	}
	return writeAnswer{Result: r}
}

// alarmCommand executes a command on alarms, each in the area it belongs to, here or on the active node.
func (s *Server) alarmCommand(ctx context.Context, by web.Actor, cmd api.AlarmCommand) ([]api.AlarmResult, error) {
	perArea := map[string][]api.AlarmRef{}
	results := map[string]api.AlarmResult{}
	for _, ref := range cmd.Alarms {
		if name, ok := s.alarmArea(ref.ID); ok {
			if err := by.Refuse(alarmPermission(cmd.Command), name); err != nil {
				return nil, err
			}
			perArea[name] = append(perArea[name], ref)
		} else {
			results[ref.ID] = api.AlarmResult{ID: ref.ID, Result: string(alarms.ResultUnknownCondition)}
		}
	}
	for name, refs := range perArea {
		part := cmd
		part.Alarms = refs
		done, err := s.forwardAlarm(ctx, name, alarmRequest{By: by.User, Command: part})
		if err != nil {
			return nil, err
		}
		for _, r := range done {
			results[r.ID] = r
		}
	}
	out := make([]api.AlarmResult, 0, len(cmd.Alarms))
	for _, ref := range cmd.Alarms {
		out = append(out, results[ref.ID])
	}
	return out, nil
}

// alarmPermission is what a command on alarms needs in their area.
func alarmPermission(command string) web.Permission {
	if command == api.AlarmOOS || command == api.AlarmRTS {
		return web.AlarmEngineer
	}
	return web.AlarmOperate
}

func (s *Server) forwardAlarm(ctx context.Context, area string, req alarmRequest) ([]api.AlarmResult, error) {
	results, err := ask[[]api.AlarmResult](ctx, s, area, request{Op: opAlarm, Alarm: &req}, nil)
	if err != nil {
		return nil, forwardProblem(err)
	}
	return results, nil
}

// alarmHere executes an alarm command on the active node and waits until the standby has it.
func (s *Server) alarmHere(ctx context.Context, a *area, req alarmRequest) ([]api.AlarmResult, error) {
	var out []api.AlarmResult
	var done []*commitment
	for _, ref := range req.Command.Alarms {
		result, c, err := a.command(alarms.Command{
			Kind: alarmKind(req.Command), Condition: ref.ID, Occurrence: ref.Occurrence, By: req.By, Comment: req.Command.Comment,
			For: time.Duration(req.Command.ForS) * time.Second,
		})
		if err != nil {
			return nil, err
		}
		if c != nil {
			done = append(done, c)
		}
		out = append(out, api.AlarmResult{ID: ref.ID, Result: string(result)})
	}
	if len(done) == 0 {
		return out, nil
	}
	durability, err := done[len(done)-1].wait(ctx)
	result, detail := alarms.ResultOK, ""
	switch {
	case err != nil:
		result, detail = alarms.ResultUnconfirmed, err.Error()
	case durability == redundancy.Solo && s.peerReachable():
		result = alarms.ResultUnconfirmed
	case durability == redundancy.Solo:
		result = alarms.ResultOKSolo
	}
	if result == alarms.ResultUnconfirmed {
		a.noteUnconfirmed(done)
	}
	for i := range out {
		if out[i].Result == string(alarms.ResultOK) {
			out[i].Result, out[i].Detail = string(result), detail
		}
	}
	return out, nil
}

func alarmKind(cmd api.AlarmCommand) alarms.CommandKind {
	if cmd.Command == api.AlarmShelve && cmd.OneShot {
		return alarms.CommandShelveOneShot
	}
	return map[string]alarms.CommandKind{
		api.AlarmAck: alarms.CommandAck, api.AlarmReset: alarms.CommandReset, api.AlarmShelve: alarms.CommandShelve,
		api.AlarmUnshelve: alarms.CommandUnshelve, api.AlarmComment: alarms.CommandComment, api.AlarmOOS: alarms.CommandOOS,
		api.AlarmRTS: alarms.CommandRTS,
	}[cmd.Command]
}

// isStandby reports whether this node mirrors the area now.
func (s *Server) isStandby(area string) bool {
	for _, st := range s.pair.Status().Areas {
		if st.Area == area {
			return st.Role == role.Standby
		}
	}
	return false
}

func (s *Server) peerReachable() bool { return s.pair.Status().Peer.Reachable }
