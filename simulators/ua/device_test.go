package ua_test

import (
	"context"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	opc "github.com/gopcua/opcua/ua"

	"scada/simulators/process"
	"scada/simulators/ua"
)

// device starts the plant's mixer on loopback.
func device(t *testing.T, change func(*ua.Options)) *ua.Device {
	t.Helper()
	plant := process.New(1)
	began := time.Now()
	p, err := ua.NewPlantProcess(plant, process.Mixer, func() { plant.Advance(time.Since(began)) })
	if err != nil {
		t.Fatal(err)
	}
	o := ua.Options{Name: "mixer", Address: "127.0.0.1:0"}
	if change != nil {
		change(&o)
	}
	d, err := ua.New(o, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return d
}

func connect(t *testing.T, d *ua.Device, opts ...opcua.Option) (*opcua.Client, error) {
	t.Helper()
	opts = append([]opcua.Option{opcua.AutoReconnect(false), opcua.RequestTimeout(2 * time.Second)}, opts...)
	c, err := opcua.NewClient("opc.tcp://"+d.Addr().String(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := c.Connect(ctx); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c, nil
}

// points returns the identifiers of a writable number and of one that moves by itself.
func points(t *testing.T) (writable, moving process.Point) {
	t.Helper()
	plant := process.New(1)
	before := map[string]string{}
	for i, p := range plant.Points() {
		before[p.Name] = plant.Raw(i).String()
	}
	plant.Advance(20 * time.Second)
	for i, p := range plant.Points() {
		switch {
		case p.Device != process.Mixer || !p.Type.IsFloat():
		case p.Writable && !p.Range.IsZero():
			writable = p
		case plant.Raw(i).String() != before[p.Name]:
			moving = p
		}
	}
	if writable.Node == "" || moving.Node == "" {
		t.Fatal("the mixer has no such points")
	}
	return writable, moving
}

func read(t *testing.T, c *opcua.Client, name string) (*opc.DataValue, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	resp, err := c.Read(ctx, &opc.ReadRequest{NodesToRead: []*opc.ReadValueID{{NodeID: opc.NewStringNodeID(2, name), AttributeID: opc.AttributeIDValue}}})
	if err != nil {
		return nil, err
	}
	return resp.Results[0], nil
}

func write(t *testing.T, c *opcua.Client, name string, v any) opc.StatusCode {
	t.Helper()
	resp, err := c.Write(t.Context(), &opc.WriteRequest{NodesToWrite: []*opc.WriteValue{{
		NodeID: opc.NewStringNodeID(2, name), AttributeID: opc.AttributeIDValue, Value: &opc.DataValue{EncodingMask: opc.DataValueValue, Value: opc.MustVariant(v)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Results[0]
}

func of(p process.Point, f float64) any {
	if p.Type.String() == "float32" {
		return float32(f)
	}
	return f
}

func TestSetPointsAreWrittenAndValuesMove(t *testing.T) {
	d := device(t, nil)
	c, err := connect(t, d)
	if err != nil {
		t.Fatal(err)
	}
	set, moving := points(t)
	want := set.Range.Low + (set.Range.High-set.Range.Low)/4
	if s := write(t, c, set.Node, of(set, want)); s != opc.StatusOK {
		t.Fatalf("write %s: %v", set.Node, s)
	}
	if v, err := read(t, c, set.Node); err != nil || v.Value.Float() != want {
		t.Errorf("%s is %v, %v, want %v", set.Node, v, err, want)
	}
	if s := write(t, c, set.Node, of(set, set.Range.High*10+1)); s != opc.StatusBadOutOfRange {
		t.Errorf("outside the range: %v", s)
	}
	if s := write(t, c, moving.Node, of(moving, 1)); s != opc.StatusBadNotWritable {
		t.Errorf("a measurement: %v", s)
	}
	moves := func() bool {
		v, err := read(t, c, moving.Node)
		if err != nil {
			t.Fatal(err)
		}
		first := v.Value.Float()
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			if v, err = read(t, c, moving.Node); err != nil {
				t.Fatal(err)
			}
			if v.Value.Float() != first {
				return true
			}
		}
		return false
	}
	if !moves() {
		t.Errorf("%s stands still", moving.Node)
	}
	d.Freeze(true)
	time.Sleep(100 * time.Millisecond)
	if moves() {
		t.Errorf("%s moves in a frozen device", moving.Node)
	}
}

func TestConnectionsAreDroppedRefusedAndHung(t *testing.T) {
	d := device(t, nil)
	c, err := connect(t, d)
	if err != nil {
		t.Fatal(err)
	}
	_, moving := points(t)
	if n := len(d.Connections()); n != 1 {
		t.Errorf("%d connections", n)
	}
	d.Hang(true)
	if _, err := read(t, c, moving.Node); err == nil {
		t.Error("a hung device answers")
	}
	d.Hang(false)
	d.Refuse(true)
	d.Drop()
	if _, err := read(t, c, moving.Node); err == nil {
		t.Error("a dropped connection answers")
	}
	if _, err := connect(t, d); err == nil {
		t.Error("a refusing device was connected to")
	}
	if f := d.Faults(); len(f) != 1 || f[0] != "refuse" {
		t.Errorf("faults %v", f)
	}
	d.Clear()
	if c, err = connect(t, d); err != nil {
		t.Fatalf("after the fault: %v", err)
	}
	if _, err := read(t, c, moving.Node); err != nil {
		t.Errorf("after the fault: %v", err)
	}
}

func TestWithUsersOnlyTheyWrite(t *testing.T) {
	d := device(t, func(o *ua.Options) { o.Users = map[string]string{"engineer": "secret"} })
	set, _ := points(t)
	anonymous, err := connect(t, d)
	if err != nil {
		t.Fatal(err)
	}
	if s := write(t, anonymous, set.Node, of(set, set.Range.Low)); s != opc.StatusBadUserAccessDenied {
		t.Errorf("anonymous: %v", s)
	}
	engineer, err := connect(t, d, opcua.AuthUsername("engineer", "secret"), opcua.AuthPolicyID("username"))
	if err != nil {
		t.Fatal(err)
	}
	if s := write(t, engineer, set.Node, of(set, set.Range.Low)); s != opc.StatusOK {
		t.Errorf("engineer: %v", s)
	}
}
