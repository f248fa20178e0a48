package plant

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goburrow/modbus"

	"scada/acquisition/tag"
	"scada/simulators/process"
)

// unit says where plant.yaml finds a device, written down a second time on purpose.
var units = map[string]struct {
	server string
	unit   byte
	swap   bool
}{
	process.PLC1: {process.PLC1, 1, false}, process.PLC2: {process.PLC2, 1, true},
	process.Well1: {"plc3", 1, false}, process.Well2: {"plc3", 2, false}, process.Well3: {"plc3", 3, false}, process.Well4: {"plc3", 4, false},
}

// reader reads tags with a library that knows nothing of this project, and a decoder written for this test.
type reader struct {
	t       *testing.T
	clients map[string]modbus.Client
}

func newReader(t *testing.T, p *Plant) *reader {
	r := &reader{t: t, clients: map[string]modbus.Client{}}
	for device, u := range units {
		h := modbus.NewTCPClientHandler(p.Addr(u.server).String())
		h.SlaveId, h.Timeout = u.unit, 5*time.Second
		t.Cleanup(func() { h.Close() })
		r.clients[device] = modbus.NewClient(h)
	}
	return r
}

func (r *reader) read(x tagRow) (any, error) {
	area, rest, _ := strings.Cut(x.address, ":")
	c := r.clients[x.device]
	rest, length, isText := strings.Cut(rest, "[")
	rest, bit, isBit := strings.Cut(rest, ".")
	at, err := strconv.Atoi(rest)
	if err != nil {
		return nil, err
	}
	n := map[tag.Type]uint16{tag.TypeFloat32: 2, tag.TypeUint32: 2}[x.typ]
	n = max(n, 1)
	if isText {
		k, err := strconv.Atoi(strings.TrimSuffix(length, "]"))
		if err != nil {
			return nil, err
		}
		n = uint16(k)
	}
	read := map[string]func(uint16, uint16) ([]byte, error){
		"co": c.ReadCoils, "di": c.ReadDiscreteInputs, "ir": c.ReadInputRegisters, "hr": c.ReadHoldingRegisters,
	}[area]
	b, err := read(uint16(at), n)
	if err != nil {
		return nil, err
	}
	if units[x.device].swap && n == 2 && !isText {
		b[0], b[1], b[2], b[3] = b[2], b[3], b[0], b[1]
	}
	switch {
	case isText:
		return strings.TrimRight(string(b), "\x00"), nil
	case isBit:
		k, err := strconv.Atoi(bit)
		return binary.BigEndian.Uint16(b)>>k&1 == 1, err
	case x.typ == tag.TypeBool:
		return b[0] == 1, nil
	case x.typ == tag.TypeInt16:
		return x.scale.Scale(float64(int16(binary.BigEndian.Uint16(b)))), nil
	case x.typ == tag.TypeUint16:
		return float64(binary.BigEndian.Uint16(b)), nil
	case x.typ == tag.TypeUint32:
		return float64(binary.BigEndian.Uint32(b)), nil
	case x.typ == tag.TypeFloat32:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), nil
	}
	return nil, fmt.Errorf("no such type: %s", x.typ)
}

// TestEveryModbusTagIsWhereItsFileSays: read by its address, type and scaling, each tag gives the model's value back.
func TestEveryModbusTagIsWhereItsFileSays(t *testing.T) {
	p := start(t)
	for device := range units {
		p.model.Hold(device, true) // so that reading takes no time
	}
	r := newReader(t, p)
	checked := 0
	for _, x := range readTags(t) {
		if x.device == process.Mixer {
			continue
		}
		i, ok := p.model.Index(x.name)
		if !ok {
			t.Errorf("%s is not in the model", x.name)
			continue
		}
		got, err := r.read(x)
		if err != nil {
			t.Errorf("%s at %s %s: %v", x.name, x.device, x.address, err)
			continue
		}
		want := p.model.Value(i)
		same := false
		switch g := got.(type) {
		case string:
			same = g == want.Text()
		case bool:
			same = g == want.Truth()
		case float64:
			same = math.Abs(g-want.Number()) <= 1e-6*math.Abs(g)
		}
		if !same {
			t.Errorf("%s at %s %s reads %v, the model has %v", x.name, x.device, x.address, got, want)
		}
		checked++
	}
	if checked < 200 {
		t.Errorf("only %d tags checked", checked)
	}
}

// TestWritableTagsTakeWrites: what a client writes is what the model then works with.
func TestWritableTagsTakeWrites(t *testing.T) {
	p := start(t)
	r := newReader(t, p)
	checked := 0
	for _, x := range readTags(t) {
		if !x.writable || x.device == process.Mixer || strings.HasSuffix(x.name, "/reset") || strings.HasSuffix(x.name, "/output") {
			continue // a reset falls back by itself, a controller's output is its own in automatic
		}
		area, rest, _ := strings.Cut(x.address, ":")
		at, _ := strconv.Atoi(strings.FieldsFunc(rest, func(r rune) bool { return r == '[' })[0])
		var err error
		var want any
		switch {
		case area == "co":
			_, err = r.clients[x.device].WriteSingleCoil(uint16(at), 0)
			want = false
		case x.typ == tag.TypeString:
			_, err = r.clients[x.device].WriteMultipleRegisters(uint16(at), 2, []byte("TEST"))
			want = "TEST"
		default:
			b := binary.BigEndian.AppendUint32(nil, math.Float32bits(0.25))
			if units[x.device].swap {
				b = []byte{b[2], b[3], b[0], b[1]}
			}
			_, err = r.clients[x.device].WriteMultipleRegisters(uint16(at), 2, b)
			want = 0.25
		}
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		got, err := r.read(x)
		if text, ok := got.(string); ok && strings.HasPrefix(text, "TEST") {
			got = "TEST"
		}
		if err != nil || got != want {
			t.Errorf("%s reads %v %v after %v was written", x.name, got, err, want)
		}
		checked++
	}
	if checked < 30 {
		t.Errorf("only %d tags checked", checked)
	}
	if _, err := r.clients[process.PLC1].WriteSingleRegister(2000, 1); err == nil {
		t.Error("an address that is not there was written")
	}
	high := binary.BigEndian.AppendUint32(nil, math.Float32bits(1e9))
	if _, err := r.clients[process.PLC1].WriteMultipleRegisters(0, 2, high); err == nil {
		t.Error("a speed of 1e9 % was accepted")
	}
}

func TestControlPort(t *testing.T) {
	p := start(t)
	r := newReader(t, p)
	door := tagRow{device: process.Well2, address: "di:3", typ: tag.TypeBool}
	flooded := tagRow{device: process.PLC1, address: "", typ: tag.TypeBool}
	for _, x := range readTags(t) {
		switch x.name {
		case "wells/well2/door":
			door = x
		case "intake/flooded":
			flooded = x
		}
	}
	if code := p.http(t, "POST", "/points", `{"name":"intake/flooded","value":1}`, nil); code != http.StatusNoContent {
		t.Fatalf("forcing: %d", code)
	}
	if v, err := r.read(flooded); v != true || err != nil {
		t.Errorf("forced, but reads %v %v", v, err)
	}
	var points []pointJSON
	if p.http(t, "GET", "/points?prefix=intake/flooded", "", &points); len(points) != 1 || points[0].Value != true || !points[0].Forced {
		t.Errorf("points %+v", points)
	}
	p.http(t, "DELETE", "/points", "", nil)
	if v, _ := r.read(flooded); v != false {
		t.Errorf("released, but reads %v", v)
	}
	if code := p.http(t, "POST", "/fault", `{"device":"well2","kind":"exception","code":6}`, nil); code != http.StatusNoContent {
		t.Fatalf("fault: %d", code)
	}
	if _, err := r.read(door); err == nil || !strings.Contains(err.Error(), "6") {
		t.Errorf("well2 answers with %v", err)
	}
	door.device = process.Well3
	if _, err := r.read(door); err != nil {
		t.Errorf("well3 behind the same gateway: %v", err)
	}
	var faults []faultJSON
	if p.http(t, "GET", "/fault", "", &faults); len(faults) != 1 || faults[0].Device != "well2" || faults[0].Code != 6 {
		t.Errorf("faults %+v", faults)
	}
	p.http(t, "DELETE", "/fault?device=well2", "", nil)
	door.device = process.Well2
	if _, err := r.read(door); err != nil {
		t.Errorf("well2 after the fault: %v", err)
	}
	var polls struct {
		Devices []struct {
			Device  string
			Clients map[string]struct{ Requests, Exceptions int }
		}
	}
	p.http(t, "GET", "/polls", "", &polls)
	seen := false
	for _, d := range polls.Devices {
		if c := d.Clients["127.0.0.1"]; d.Device == "well2" {
			seen = c.Requests == 2 && c.Exceptions == 1
		}
	}
	if !seen {
		t.Errorf("polls %+v", polls)
	}
	var journal struct {
		Requests []struct{ Device, Fault string }
		Changes  []changeJSON
	}
	p.http(t, "GET", "/journal?device=well2&point=intake/flooded", "", &journal)
	if len(journal.Requests) != 2 || journal.Requests[0].Fault != "exception" {
		t.Errorf("requests %+v", journal.Requests)
	}
	if n := len(journal.Changes); n < 1 || journal.Changes[0].New != true || journal.Changes[0].Point != "intake/flooded" {
		t.Errorf("changes %+v", journal.Changes)
	}
}

func TestControlPortRefuses(t *testing.T) {
	p := start(t)
	for _, x := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/fault", `{"device":"plc1","kind":"nonsense"}`, 400}, {"POST", "/fault", `{"device":"plc9","kind":"silent"}`, 404},
		{"POST", "/fault", `{"device":"plc1","kind":"slow","delay":"1"}`, 400}, {"POST", "/fault", `{"device":"plc1","kind":"slow","delay":"11m"}`, 400},
		{"POST", "/fault", `{"device":"plc1","kind":"silent","x":1}`, 400}, {"POST", "/fault", `{`, 400}, {"POST", "/fault", ``, 415},
		{"POST", "/fault", `{"device":"` + strings.Repeat("x", maxBodyBytes) + `"}`, 400},
		{"POST", "/points", `{"name":"nothing","value":1}`, 404}, {"POST", "/points", `{"name":"intake/flooded","value":null}`, 400},
		{"POST", "/points", `{"name":"intake/flooded","value":true,"set":true}`, 400}, {"POST", "/points", `{"name":"treatment/message","value":1}`, 400},
		{"DELETE", "/points?name=nothing", "", 404}, {"DELETE", "/fault?device=nothing", "", 404}, {"GET", "/journal?limit=x", "", 400}, {"GET", "/nothing", "", 404},
	} {
		if code := p.http(t, x.method, x.path, x.body, nil); code != x.want {
			t.Errorf("%s %s %.80s: %d, want %d", x.method, x.path, x.body, code, x.want)
		}
	}
}
