package plant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scada/acquisition/tag"
	"scada/simulators/plc"
)

// Limits of the control port.
const (
	maxBodyBytes   = 64 << 10
	maxRows        = 100_000 // of one answer
	controlTimeout = 10 * time.Second
)

// serveControl serves the control port until ctx is done.
func (p *Plant) serveControl(ctx context.Context) error {
	s := &http.Server{Handler: p.routes(), ReadTimeout: controlTimeout, WriteTimeout: controlTimeout}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // in-flight answers of a simulator need no grace
	defer stop()
	if err := s.Serve(p.control); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control port: %w", err)
	}
	return nil
}

func (p *Plant) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { reply(w, map[string]string{"status": "ok"}) })
	m.HandleFunc("GET /devices", p.getDevices)
	m.HandleFunc("GET /fault", p.getFaults)
	m.HandleFunc("POST /fault", p.postFault)
	m.HandleFunc("DELETE /fault", p.deleteFault)
	m.HandleFunc("GET /journal", p.getJournal)
	m.HandleFunc("GET /polls", p.getPolls)
	m.HandleFunc("GET /points", p.getPoints)
	m.HandleFunc("POST /points", p.postPoint)
	m.HandleFunc("DELETE /points", p.deletePoint)
	return m
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client that went away needs no answer
}

func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": fmt.Sprintf(format, args...)})
}

// body decodes a request strictly. Only JSON is taken, which a web page of another origin cannot send unasked.
func body(w http.ResponseWriter, r *http.Request, v any) bool {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "the body must be application/json")
		return false
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return false
	}
	return true
}

type deviceJSON struct {
	Device      string   `json:"device"`
	Address     string   `json:"address"`
	Unit        uint8    `json:"unit,omitempty"`
	Connections []string `json:"connections"`
}

func (p *Plant) getDevices(w http.ResponseWriter, _ *http.Request) {
	list := []deviceJSON{}
	for _, name := range sortedKeys(p.places) {
		at := p.places[name]
		d := deviceJSON{Device: name, Unit: at.unit, Connections: append([]string{}, at.server.Connections()...)}
		if a := at.server.Addr(); a != nil {
			d.Address = a.String()
		}
		list = append(list, d)
	}
	reply(w, list)
}

type faultJSON struct {
	Device   string   `json:"device"`
	Kind     plc.Kind `json:"kind"`
	Function uint8    `json:"function,omitempty"`
	Delay    string   `json:"delay,omitempty"` // 200ms
	Code     uint8    `json:"code,omitempty"`
	After    int      `json:"after,omitempty"`
	Count    int      `json:"count,omitempty"`
}

func (p *Plant) getFaults(w http.ResponseWriter, _ *http.Request) {
	list := []faultJSON{}
	for _, name := range sortedKeys(p.places) {
		at := p.places[name]
		for _, f := range at.server.Faults() {
			if f.Unit == at.unit {
				list = append(list, faultJSON{name, f.Kind, f.Function, f.Delay.String(), uint8(f.Code), f.After, f.Count})
			}
		}
	}
	reply(w, list)
}

func (p *Plant) postFault(w http.ResponseWriter, r *http.Request) {
	var f faultJSON
	if !body(w, r, &f) {
		return
	}
	at, ok := p.places[f.Device]
	if !ok {
		refuse(w, http.StatusNotFound, "no device %q (one of %v)", f.Device, sortedKeys(p.places))
		return
	}
	delay := time.Duration(0)
	if f.Delay != "" {
		var err error
		if delay, err = time.ParseDuration(f.Delay); err != nil {
			refuse(w, http.StatusBadRequest, "delay %q is not a duration (200ms)", f.Delay)
			return
		}
	}
	err := at.server.Inject(plc.Fault{
		Kind: f.Kind, Unit: at.unit, Function: f.Function, Delay: delay, Code: plc.Exception(f.Code), After: f.After, Count: f.Count,
	})
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	p.log.Info("fault injected", "device", f.Device, "kind", string(f.Kind))
	w.WriteHeader(http.StatusNoContent)
}

// deleteFault ends the faults of one device, or of all.
func (p *Plant) deleteFault(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("device")
	if name == "" {
		for _, at := range p.places {
			at.server.Clear(0)
		}
	} else if at, ok := p.places[name]; ok {
		at.server.Clear(at.unit)
	} else {
		refuse(w, http.StatusNotFound, "no device %q (one of %v)", name, sortedKeys(p.places))
		return
	}
	p.log.Info("faults cleared", "device", name)
	w.WriteHeader(http.StatusNoContent)
}

type changeJSON struct {
	Seq   uint64    `json:"seq"`
	Time  time.Time `json:"time"`
	Point string    `json:"point"`
	Old   any       `json:"old"`
	New   any       `json:"new"`
}

// getJournal answers the requests the devices got and the changes of the points alarms depend on, oldest first. Ask
// again with the last seq of each as after_request and after_change.
func (p *Plant) getJournal(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err1 := queryNumber(q.Get("limit"), maxRows)
	request, err2 := queryNumber(q.Get("after_request"), 0)
	change, err3 := queryNumber(q.Get("after_change"), 0)
	if err := errors.Join(err1, err2, err3); err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	rows := int(min(limit, maxRows))
	requests := p.journal.Requests(request, rows)
	if device := q.Get("device"); device != "" {
		kept := []plc.Request{}
		for _, x := range requests {
			if x.Device == device {
				kept = append(kept, x)
			}
		}
		requests = kept
	}
	changes := []changeJSON{}
	for _, c := range p.model.Changes(change, rows) {
		if point := q.Get("point"); point == "" || point == c.Point {
			changes = append(changes, changeJSON{c.Seq, p.started.Add(c.At), c.Point, plain(c.Old), plain(c.New)})
		}
	}
	reply(w, map[string]any{"started": p.started, "now": time.Now(), "requests": requests, "changes": changes})
}

func queryNumber(s string, empty uint64) (uint64, error) {
	if s == "" {
		return empty, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return n, nil
}

// getPolls answers who polled what, with the longest time two clients polled the same device at once.
func (p *Plant) getPolls(w http.ResponseWriter, _ *http.Request) {
	list := p.journal.Summaries()
	worst := plc.Overlap{}
	device := ""
	for _, s := range list {
		if s.Overlap.Duration > worst.Duration {
			worst, device = s.Overlap, s.Device
		}
	}
	reply(w, map[string]any{"devices": list, "longest_overlap": worst, "longest_overlap_device": device, "tenure_gap_ms": plc.TenureGap.Milliseconds()})
}

type pointJSON struct {
	Name     string `json:"name"`
	Device   string `json:"device"`
	Address  string `json:"address"`
	Type     string `json:"type"`
	Unit     string `json:"unit,omitempty"`
	Value    any    `json:"value"`
	Raw      any    `json:"raw"`
	Writable bool   `json:"writable,omitempty"`
	Forced   bool   `json:"forced,omitempty"`
}

func (p *Plant) getPoints(w http.ResponseWriter, r *http.Request) {
	p.sync()
	forced := map[string]bool{}
	for _, name := range p.model.Forced() {
		forced[name] = true
	}
	list := []pointJSON{}
	for i, pt := range p.model.Points() {
		if strings.HasPrefix(pt.Name, r.URL.Query().Get("prefix")) {
			list = append(list, pointJSON{
				pt.Name, pt.Device, pt.AddressText(), pt.Type.String(), pt.Unit, plain(p.model.Value(i)), plain(p.model.Raw(i)), pt.Writable, forced[pt.Name],
			})
		}
	}
	reply(w, list)
}

// postPoint forces what a point shows, or with set: true writes it as its operator would.
func (p *Plant) postPoint(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
		Set   bool   `json:"set"`
	}
	if !body(w, r, &in) {
		return
	}
	var v tag.Value
	switch x := in.Value.(type) {
	case bool:
		v = tag.Bool(x)
	case float64:
		v = tag.Float64(x)
	case string:
		v = tag.String(x)
	default:
		refuse(w, http.StatusBadRequest, "value must be a number, a text, true or false")
		return
	}
	i, ok := p.model.Index(in.Name)
	if !ok {
		refuse(w, http.StatusNotFound, "no point %q", in.Name)
		return
	}
	p.sync()
	var err error
	if in.Set {
		err = p.model.Write(i, v)
	} else {
		err = p.model.Force(in.Name, v)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	p.log.Info("point set by hand", "point", in.Name, "value", v.String(), "set", in.Set)
	w.WriteHeader(http.StatusNoContent)
}

func (p *Plant) deletePoint(w http.ResponseWriter, r *http.Request) {
	if err := p.model.Release(r.URL.Query().Get("name")); err != nil {
		refuse(w, http.StatusNotFound, "%s", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// plain returns a value as JSON has it.
func plain(v tag.Value) any {
	switch {
	case v.IsNone():
		return nil
	case v.Type() == tag.TypeBool:
		return v.Truth()
	case v.Type() == tag.TypeString:
		return v.Text()
	case v.Type().IsFloat():
		return v.Number()
	}
	return v.Int()
}
