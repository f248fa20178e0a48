package plant

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"scada/acquisition/tag"
	"scada/simulators/plc"
	"scada/simulators/process"
)

// Limits of a scenario.
const (
	maxSteps       = 10_000
	maxScenario    = 24 * time.Hour
	maxRecording   = 16 << 20 // bytes of a recorded file
	maxRecordLines = 100_000
)

// ScenarioFile is what happens by itself after the start, again and again if it is repeated.
type ScenarioFile struct {
	Repeat time.Duration `yaml:"repeat"` // 0: once
	Steps  []StepFile    `yaml:"steps"`
}

// StepFile is one thing that happens; exactly one of Fault, Clear, Point, Points, Release and Playback says what.
type StepFile struct {
	At       time.Duration `yaml:"at"` // after the start of the scenario
	Fault    *FaultStep    `yaml:"fault"`
	Clear    string        `yaml:"clear"`    // device whose faults end
	Point    string        `yaml:"point"`    // is forced to Value
	Points   string        `yaml:"points"`   // every point whose name begins so is forced to Value, one after the other within Within
	Release  string        `yaml:"release"`  // point
	Playback string        `yaml:"playback"` // file of lines at,point,value: what is forced when, after At
	Value    string        `yaml:"value"`
	Within   time.Duration `yaml:"within"`
}

// FaultStep is a fault as the control port takes it.
type FaultStep struct {
	Device   string        `yaml:"device"`
	Kind     plc.Kind      `yaml:"kind"`
	Function uint8         `yaml:"function"`
	Code     uint8         `yaml:"code"`
	Delay    time.Duration `yaml:"delay"`
	After    int           `yaml:"after"`
	Count    int           `yaml:"count"`
}

// event is one step ready to be taken.
type event struct {
	at    time.Duration
	fault *FaultStep
	clear string
	point string // is forced to value, or released when that is none
	value tag.Value
}

// scenario checks the scenario and returns what happens in it, in order.
func (k *checker) scenario(c *Config, taken map[string]string) []event {
	s := &c.Scenario
	if s.Repeat < 0 || s.Repeat > maxScenario {
		k.failf("scenario.repeat", "%s is outside 0s..%s", s.Repeat, maxScenario)
	}
	if len(s.Steps) > maxSteps {
		k.failf("scenario.steps", "%d steps, the limit is %d", len(s.Steps), maxSteps)
		return nil
	}
	var events []event
	model := process.New(c.Seed)
	for i := range s.Steps {
		events = append(events, k.step(fmt.Sprintf("scenario.steps[%d]", i), &s.Steps[i], c.dir, taken, model)...)
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	if n := len(events); n > 0 && s.Repeat > 0 && events[n-1].at >= s.Repeat {
		k.failf("scenario.repeat", "%s is not behind the last step, which is at %s", s.Repeat, events[n-1].at)
	}
	return events
}

func (k *checker) step(path string, s *StepFile, dir string, taken map[string]string, model *process.Plant) []event {
	said := 0
	for _, given := range []bool{s.Fault != nil, s.Clear != "", s.Point != "", s.Points != "", s.Release != "", s.Playback != ""} {
		if given {
			said++
		}
	}
	switch {
	case s.At < 0 || s.At > maxScenario:
		k.failf(path+".at", "%s is outside 0s..%s", s.At, maxScenario)
	case said != 1:
		k.failf(path, "one of fault, clear, point, points, release, playback says what happens; there are %d", said)
	case s.Fault != nil:
		return k.faultStep(path, s, taken)
	case s.Clear != "":
		if taken[s.Clear] == "" {
			k.failf(path+".clear", "no device %q", s.Clear)
		}
		return []event{{at: s.At, clear: s.Clear}}
	case s.Point != "" || s.Release != "":
		e := event{at: s.At, point: s.Point + s.Release}
		if s.Point != "" {
			e.value = parseValue(s.Value)
		}
		if err := fitsPoint(model, e); err != nil {
			k.failf(path, "%s", err)
		}
		return []event{e}
	case s.Points != "":
		return k.avalanche(path, s, model)
	case s.Playback != "":
		return k.playback(path+".playback", filepath.Join(dir, s.Playback), s.At, model)
	}
	return nil
}

func (k *checker) faultStep(path string, s *StepFile, taken map[string]string) []event {
	if taken[s.Fault.Device] == "" {
		k.failf(path+".fault", "no device %q", s.Fault.Device)
	}
	if !slices.Contains(plc.Kinds(), s.Fault.Kind) {
		k.failf(path+".fault", "kind %q is none of %v", s.Fault.Kind, plc.Kinds())
	}
	return []event{{at: s.At, fault: s.Fault}}
}

// avalanche forces many points within a moment.
func (k *checker) avalanche(path string, s *StepFile, model *process.Plant) (events []event) {
	for _, p := range model.Points() {
		if e := (event{point: p.Name, value: parseValue(s.Value)}); strings.HasPrefix(p.Name, s.Points) && fitsPoint(model, e) == nil {
			events = append(events, e)
		}
	}
	if len(events) == 0 {
		k.failf(path+".points", "no point that takes %q begins with %q", s.Value, s.Points)
	}
	if s.Within < 0 || s.Within > maxScenario {
		k.failf(path+".within", "%s is outside 0s..%s", s.Within, maxScenario)
		return nil
	}
	for i := range events {
		events[i].at = s.At + s.Within*time.Duration(i)/time.Duration(len(events))
	}
	return events
}

// fitsPoint reports why a point cannot be forced so.
func fitsPoint(model *process.Plant, e event) error {
	i, ok := model.Index(e.point)
	if !ok {
		return fmt.Errorf("no point %q", e.point)
	}
	if q := model.Points()[i]; !e.value.IsNone() && (q.Type == tag.TypeString) != (e.value.Type() == tag.TypeString) {
		return fmt.Errorf("%s: a %s cannot show %q", e.point, q.Type, e.value)
	}
	return nil
}

// parseValue reads a value as people write it.
func parseValue(s string) tag.Value {
	switch s {
	case "true":
		return tag.Bool(true)
	case "false":
		return tag.Bool(false)
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return tag.Float64(f)
	}
	return tag.String(s)
}

// playback reads a recorded file. Errors name its lines and columns.
func (k *checker) playback(path, name string, from time.Duration, model *process.Plant) []event {
	src, err := readRecording(name)
	if err != nil {
		k.failf(path, "%s", err)
		return nil
	}
	events, errs := parseRecording(name, src, from, model)
	k.errs = append(k.errs, errs...)
	return events
}

func readRecording(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRecording {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, maxRecording)
	}
	return os.ReadFile(name)
}

// parseRecording reads lines at,point,value: seconds after the beginning or a duration, a name, a value; an empty value
// releases the point.
func parseRecording(name string, src []byte, from time.Duration, model *process.Plant) (events []event, errs []error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))))
	r.Comment, r.FieldsPerRecord = '#', 3
	wrong := func(line, col int, format string, args ...any) {
		errs = append(errs, Error{File: name, Line: line, Col: max(col, 1), Message: fmt.Sprintf(format, args...)})
	}
	for n := 0; len(errs) < maxRecordErrors; n++ {
		cells, err := r.Read()
		var broken *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return events, errs
		case errors.As(err, &broken) && errors.Is(err, csv.ErrFieldCount):
			wrong(broken.Line, 1, "%d cells; a line is at,point,value", len(cells))
			continue
		case errors.As(err, &broken):
			wrong(broken.Line, broken.Column, "%s", broken.Err)
			return events, errs
		case n == 0 && cells[0] == "at":
			continue
		case len(events) >= maxRecordLines:
			wrong(1, 1, "more than %d lines", maxRecordLines)
			return events, errs
		}
		line, _ := r.FieldPos(0)
		at, ok := parseOffset(cells[0])
		if !ok || at < 0 || from+at > maxScenario {
			wrong(line, 1, "%q is neither seconds nor a duration within %s", cells[0], maxScenario)
		}
		e := event{at: from + at, point: cells[1]}
		if cells[2] != "" {
			e.value = parseValue(cells[2])
		}
		if err := fitsPoint(model, e); err != nil {
			_, col := r.FieldPos(1)
			wrong(line, col, "%s", err)
		}
		events = append(events, e)
	}
	return events, errs
}

const maxRecordErrors = 100

func parseOffset(s string) (time.Duration, bool) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return time.Duration(f * float64(time.Second)), f >= 0 && f <= maxScenario.Seconds()
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// play takes the steps of the scenario at their time.
func (p *Plant) play(ctx context.Context) {
	events := p.config.events
	for began := time.Now(); len(events) > 0; began = began.Add(p.config.Scenario.Repeat) {
		for _, e := range events {
			if !wait(ctx, time.Until(began.Add(e.at))) {
				return
			}
			if err := p.take(e); err != nil {
				p.log.Warn("a step of the scenario could not be taken", "at", e.at, "error", err)
			}
		}
		if p.config.Scenario.Repeat == 0 {
			return
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (p *Plant) take(e event) error {
	switch {
	case e.fault != nil:
		at, f := p.places[e.fault.Device], e.fault
		p.log.Info("fault injected", "device", f.Device, "kind", string(f.Kind))
		return at.server.Inject(plc.Fault{
			Kind: f.Kind, Unit: at.unit, Function: f.Function, Delay: f.Delay, Code: plc.Exception(f.Code), After: f.After, Count: f.Count,
		})
	case e.clear != "":
		at := p.places[e.clear]
		at.server.Clear(at.unit)
		return nil
	}
	p.sync()
	if e.value.IsNone() {
		return p.model.Release(e.point)
	}
	return p.model.Force(e.point, e.value)
}
