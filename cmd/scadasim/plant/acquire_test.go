package plant

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"scada/acquisition"
	"scada/acquisition/modbus"
	"scada/acquisition/opcua"
	"scada/acquisition/tag"
	"scada/cmd/internal/config"
	"scada/simulators/process"
)

// collector keeps the newest sample of each tag.
type collector struct {
	mu   sync.Mutex
	last map[tag.ID]tag.Sample
	done chan struct{} // receives after each batch
}

func (c *collector) Publish(batch []tag.Update) {
	c.mu.Lock()
	for _, u := range batch {
		c.last[u.Tag] = u.Sample
	}
	c.mu.Unlock()
	select {
	case c.done <- struct{}{}:
	default:
	}
}

func (c *collector) wrong(defs []tag.Definition, p *Plant) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, def := range defs {
		i, ok := p.model.Index(def.Name)
		s := c.last[def.ID]
		want := p.model.Value(i)
		same := s.Value.Text() == want.Text()
		if def.Type != tag.TypeString {
			same = math.Abs(s.Value.Number()-want.Number()) <= 1e-6*math.Abs(want.Number())
		}
		if !ok || !s.Quality.IsGood() || !same {
			names = append(names, def.Name+": "+s.Value.String()+" "+s.Quality.String()+", the model has "+want.String())
		}
	}
	return names
}

// TestTheDemoIsAcquired runs the real drivers with the demo's configuration against its simulated plant: every tag
// becomes good and has the model's value, polled from the node's own address, each device by nobody else.
func TestTheDemoIsAcquired(t *testing.T) {
	p := start(t)
	for _, device := range process.Devices() {
		p.model.Hold(device, true)
	}
	c, err := config.Load("../demo/plant.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var sources []acquisition.Source
	var buses []modbus.Device
	acquired := c.Tags[:0:0]
	for _, d := range c.Devices {
		switch {
		case d.App != nil || d.Calculated != nil || d.System != nil:
			continue // made by the node itself
		case p.Addr(d.Name) == nil:
			t.Errorf("%s is not simulated", d.Name)
		case d.Modbus != nil:
			d.Modbus.Endpoints = []string{"tcp://" + p.Addr(d.Name).String()}
			buses = append(buses, *d.Modbus)
		default:
			d.OPCUA.Endpoint = "opc.tcp://" + p.Addr(d.Name).String()
			s, err := opcua.New(*d.OPCUA, opcua.Options{LocalAddress: c.Nodes["a"].Field})
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, s)
		}
	}
	for _, def := range c.Tags {
		if p.Addr(def.Device) != nil {
			acquired = append(acquired, def)
		}
	}
	channels, err := modbus.New(buses, modbus.Options{LocalAddr: c.Nodes["a"].Field})
	if err != nil {
		t.Fatal(err)
	}
	group, err := acquisition.NewGroup(append(sources, channels...), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	got := &collector{last: map[tag.ID]tag.Sample{}, done: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- group.Run(ctx, got) }()
	begun, give := time.Now(), time.After(10*time.Second)
	for len(got.wrong(acquired, p)) > 0 {
		select {
		case <-got.done:
		case <-give:
			t.Fatalf("after %v: %q", time.Since(begun), got.wrong(acquired, p))
		}
	}
	t.Logf("%d tags good after %v", len(acquired), time.Since(begun))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, s := range p.journal.Summaries() {
		for ip := range s.Clients {
			if ip != c.Nodes["a"].Field {
				t.Errorf("%s was asked from %s", s.Device, ip)
			}
		}
	}
}

// TestFaultsOfTheOPCUADevice: each fault is seen by the real driver, ends when it is cleared, and the journal tells
// who was there.
func TestFaultsOfTheOPCUADevice(t *testing.T) {
	p := start(t)
	i, _ := p.model.Index("mixer/proof/counter")
	def := tag.Definition{Name: "counter", Address: p.model.Points()[i].AddressText(), Type: tag.TypeUint32, ScanPeriod: 100 * time.Millisecond}
	s, err := opcua.New(opcua.Device{
		Name: "mixer", Endpoint: "opc.tcp://" + p.Addr(process.Mixer).String(), Timeout: 300 * time.Millisecond, Tags: []tag.Definition{def},
	}, opcua.Options{LocalAddress: "127.0.0.12"})
	if err != nil {
		t.Fatal(err)
	}
	got := &collector{last: map[tag.ID]tag.Sample{}, done: make(chan struct{}, 1)}
	group, err := acquisition.NewGroup([]acquisition.Source{s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- group.Run(ctx, got) }()
	wait := func(what string, want func(tag.Sample) bool) {
		t.Helper()
		give := time.After(10 * time.Second)
		for {
			got.mu.Lock()
			x := got.last[0]
			got.mu.Unlock()
			if want(x) {
				return
			}
			select {
			case <-got.done:
			case <-time.After(50 * time.Millisecond): // what stands still sends nothing
			case <-give:
				t.Fatalf("never %s: %v %s", what, x.Value, x.Quality)
			}
		}
	}
	good := func(x tag.Sample) bool {
		n := uint32(x.Value.Int())
		now := process.ProofCounter(6, uint32(time.Since(p.started)/(100*time.Millisecond)))
		return x.Quality.IsGood() && n <= now && now-n < 10
	}
	wait("good", good)
	for _, kind := range []string{"silent", "refuse"} {
		if code := p.http(t, "POST", "/fault", `{"device":"mixer","kind":"`+kind+`"}`, nil); code != 204 {
			t.Fatalf("%s: %d", kind, code)
		}
		wait("lost by "+kind, func(x tag.Sample) bool { return x.Quality == tag.UncertainNoCommunicationLastUsable })
		p.http(t, "DELETE", "/fault?device=mixer", "", nil)
		wait("good after "+kind, good)
	}
	if code := p.http(t, "POST", "/fault", `{"device":"mixer","kind":"wrong-tid"}`, nil); code != 400 {
		t.Errorf("a fault of another protocol: %d", code)
	}
	p.http(t, "POST", "/fault", `{"device":"mixer","kind":"freeze"}`, nil)
	wait("standing still", func(x tag.Sample) bool { return x.Quality.IsGood() && !good(x) })
	p.http(t, "DELETE", "/fault", "", nil)
	wait("good after freeze", good)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, x := range p.journal.Summaries() {
		if x.Device == process.Mixer && (len(x.Clients) != 1 || x.Clients["127.0.0.12"].Requests == 0) {
			t.Errorf("the mixer was asked by %+v", x.Clients)
		}
	}
}
