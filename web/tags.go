package web

import (
	"encoding/json"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"scada/acquisition/tag"
	"scada/web/api"
)

// find returns the definition of a tag. Tags are in order of their names.
func (p *Plant) find(name string) (tag.Definition, bool) {
	i := sort.Search(len(p.Tags), func(i int) bool { return p.Tags[i].Name >= name })
	if i < len(p.Tags) && p.Tags[i].Name == name {
		return p.Tags[i], true
	}
	return tag.Definition{}, false
}

func (s *Server) getTags(c *call) (any, error) {
	limit, err := c.number("limit", defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	glob, text := c.query("glob"), strings.ToLower(c.query("text"))
	if len(glob) > maxGlob || len(text) > maxText {
		return nil, api.NewProblem(api.CodeBadRequest, "glob has at most %d bytes, text %d", maxGlob, maxText)
	}
	plant, area, device, after := s.backend.Plant(), c.query("area"), c.query("device"), c.query("cursor")
	out := api.Tags{Tags: []api.Tag{}}
	for _, d := range plant.Tags {
		if area != "" && d.Area != area || device != "" && d.Device != device || glob != "" && !matchGlob(glob, d.Name) {
			continue
		}
		if text != "" && !strings.Contains(strings.ToLower(d.Name), text) && !strings.Contains(strings.ToLower(d.Description), text) {
			continue
		}
		out.Total++
		switch {
		case after != "" && d.Name <= after:
		case len(out.Tags) < limit:
			out.Tags = append(out.Tags, describeTag(d, plant.Live.Get(d.ID)))
		default:
			out.Next = out.Tags[limit-1].Name
		}
	}
	return out, nil
}

func (s *Server) getTag(c *call) (any, error) {
	plant := s.backend.Plant()
	d, ok := plant.find(c.r.PathValue("name"))
	if !ok {
		return nil, api.NewProblem(api.CodeNotFound, "no tag %q", c.r.PathValue("name"))
	}
	return describeTag(d, plant.Live.Get(d.ID)), nil
}

func describeTag(d tag.Definition, now tag.Sample) api.Tag {
	t := api.Tag{Name: d.Name, Area: d.Area, Device: d.Device, Address: d.Address, Type: d.Type.String(), Unit: d.Unit,
		Description: d.Description, ScanMs: d.ScanPeriod.Milliseconds(), Writable: d.Writable, Deadband: d.Deadband,
		States: d.Bits, History: historyName(d.History), Sample: apiSample(now)}
	if !d.Range.IsZero() {
		t.Low, t.High = &d.Range.Low, &d.Range.High
	}
	return t
}

func historyName(m tag.HistoryMode) string {
	switch m {
	case tag.HistoryAll:
		return "all"
	case tag.HistoryChange:
		return "change"
	}
	return "off"
}

func apiSample(s tag.Sample) api.Sample {
	out := api.Sample{Value: JSONValue(s.Value), Quality: s.Quality.String()}
	if s.Time != 0 || !s.Value.IsNone() {
		at := s.At()
		out.Time = &at
	}
	return out
}

// JSONValue is a value as JSON shows it: a number without loss, a boolean, a text, or nil for none and for what JSON has
// no number for.
func JSONValue(v tag.Value) any {
	switch {
	case v.IsNone():
		return nil
	case v.Type() == tag.TypeBool:
		return v.Truth()
	case v.Type() == tag.TypeString:
		return v.Text()
	case math.IsNaN(v.Number()), math.IsInf(v.Number(), 0):
		return nil
	}
	return json.Number(v.String())
}

func (s *Server) postValue(c *call) (any, error) {
	name, ok := strings.CutSuffix(c.r.PathValue("name"), "/value")
	if !ok {
		return nil, api.NewProblem(api.CodeNotFound, "writes go to …/value")
	}
	var in api.Write
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	w, err := s.checkWrite(c.who.Actor, name, in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := commandContext(c.r.Context(), time.Until(w.Deadline)+answerGrace)
	defer cancel()
	return s.backend.WriteTag(ctx, c.who.Actor, w)
}

// checkWrite holds a write against the definition, the role, the clock and the nonces seen. What it lets through may
// still be refused by whoever writes.
func (s *Server) checkWrite(who Actor, name string, in api.Write) (Write, error) {
	w := Write{Epoch: in.Epoch, Nonce: in.Nonce, Reason: in.Reason}
	d, ok := s.backend.Plant().find(name)
	switch {
	case !ok:
		return w, api.NewProblem(api.CodeNotFound, "no tag %q", name)
	case !d.Writable:
		return w, api.NewProblem(api.CodeNotWritable, "%s is read-only", name)
	case len(in.Reason) > maxText:
		return w, api.NewProblem(api.CodeBadRequest, "the reason has at most %d bytes", maxText)
	}
	w.Tag = d
	if err := who.Refuse(TagWrite, d.Area); err != nil {
		return w, err
	}
	var err error
	if w.Value, err = parseValue(d, in.Value); err != nil {
		return w, err
	}
	if ok, wait := s.writes.allow(who.User, s.now()); !ok {
		return w, api.NewProblem(api.CodeTooMany, "more than %d writes a second; again in %v", writesPerSecond, wait.Round(time.Millisecond))
	}
	if err := s.checkMoment(&w, in); err != nil {
		return w, err
	}
	return w, nil
}

// checkMoment refuses a write that comes at another moment than the one its sender meant.
func (s *Server) checkMoment(w *Write, in api.Write) error {
	now := s.now()
	w.Deadline = now.Add(defaultDeadline)
	if in.Deadline != nil {
		w.Deadline = *in.Deadline
	}
	area, known := s.myArea(w.Tag.Area)
	switch {
	case !now.Before(w.Deadline):
		return api.NewProblem(api.CodeLate, "the deadline was %v ago", now.Sub(w.Deadline).Round(time.Millisecond))
	case w.Deadline.Sub(now) > maxWriteAhead:
		return api.NewProblem(api.CodeBadRequest, "the deadline is more than %v ahead", maxWriteAhead)
	case in.ExpectRole != "" && (!known || area.Role != in.ExpectRole):
		return api.NewProblem(api.CodeRoleChanged, "node %s is %s in area %s", s.cfg.Node, area.Role, w.Tag.Area)
	case in.Epoch != 0 && (!known || area.Epoch != in.Epoch):
		return api.NewProblem(api.CodeWrongEpoch, "area %s has epoch %d, the write %d", w.Tag.Area, area.Epoch, in.Epoch)
	case in.Nonce == "":
		return nil
	case len(in.Nonce) < minNonce || len(in.Nonce) > maxNonce:
		return api.NewProblem(api.CodeBadRequest, "a nonce has %d to %d bytes", minNonce, maxNonce)
	case !s.nonces.use(in.Nonce, now):
		return api.NewProblem(api.CodeRepeated, "this write was sent before")
	}
	return nil
}

// parseValue converts what JSON brought to the tag's type and holds it against the range. Text is accepted for every
// type as an operator would type it.
func parseValue(d tag.Definition, in any) (tag.Value, error) {
	var text string
	switch v := in.(type) {
	case json.Number:
		text = v.String()
	case float64:
		text = strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		text = v
	case bool:
		if d.Type != tag.TypeBool {
			return tag.Value{}, api.NewProblem(api.CodeBadValue, "%s is %s, not a boolean", d.Name, d.Type)
		}
		return tag.Bool(v), nil
	default:
		return tag.Value{}, api.NewProblem(api.CodeBadValue, "want a number, a boolean or a text")
	}
	if _, isText := in.(string); d.Type == tag.TypeString && !isText {
		return tag.Value{}, api.NewProblem(api.CodeBadValue, "%s is a text", d.Name)
	}
	if len(text) > tag.MaxText {
		return tag.Value{}, api.NewProblem(api.CodeBadValue, "a text has at most %d bytes", tag.MaxText)
	}
	v, err := tag.Parse(d.Type, text)
	if err != nil {
		return v, api.NewProblem(api.CodeBadValue, "%v", err)
	}
	if n := v.Number(); d.Type.IsNumeric() && !d.Range.IsZero() && (n < d.Range.Low || n > d.Range.High) {
		return v, api.NewProblem(api.CodeBadValue, "%s is outside %g to %g %s", v, d.Range.Low, d.Range.High, d.Unit)
	}
	return v, nil
}
