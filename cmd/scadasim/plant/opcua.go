package plant

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"scada/simulators/plc"
	"scada/simulators/ua"
)

func (p *Plant) addOPCUA(u *OPCUAFile) error {
	show, err := ua.NewPlantProcess(p.model, u.Device, p.sync)
	if err != nil {
		return err
	}
	o := ua.Options{Name: u.Device, Address: u.Listen, Log: p.log, Listen: p.witness(u.Device)}
	if u.PKI != "" {
		o.PKI = u.PKI
		if !filepath.IsAbs(u.PKI) {
			o.PKI = filepath.Join(p.config.dir, u.PKI)
		}
	}
	d, err := ua.New(o, show)
	if err != nil {
		return err
	}
	s := &uaDevice{Device: d, freeze: func(on bool) { p.model.Hold(u.Device, on) }}
	p.servers = append(p.servers, s)
	p.places[u.Device] = place{server: s}
	return nil
}

// uaDevice takes the faults of the control port.
type uaDevice struct {
	*ua.Device
	freeze func(on bool)

	mu     sync.Mutex
	faults []plc.Fault
}

// uaKinds are the faults an OPC UA device knows.
var uaKinds = []plc.Kind{plc.Silent, plc.Freeze, plc.Refuse, plc.Reset}

// Inject implements server. A reset happens once, the others last.
func (d *uaDevice) Inject(f plc.Fault) error {
	if !slices.Contains(uaKinds, f.Kind) {
		return fmt.Errorf("an OPC UA device does not know %q, only %v", f.Kind, uaKinds)
	}
	if f != (plc.Fault{Kind: f.Kind}) {
		return fmt.Errorf("%s of an OPC UA device takes no further settings", f.Kind)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f.Kind {
	case plc.Reset:
		d.Drop()
		return nil
	case plc.Silent:
		d.Hang(true)
	case plc.Freeze:
		d.freeze(true)
	case plc.Refuse:
		d.Refuse(true)
		d.Drop()
	}
	d.faults = append(d.faults, f)
	return nil
}

// Clear implements server.
func (d *uaDevice) Clear(uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
	d.freeze(false)
	d.Device.Clear()
}

// Faults implements server.
func (d *uaDevice) Faults() []plc.Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.faults)
}

// witness returns a listener that enters into the journal whenever a client of the device says something. What it says
// may be sealed; that it spoke, and when, is what tells who polls the device.
func (p *Plant) witness(device string) func(network, address string) (net.Listener, error) {
	return func(network, address string) (net.Listener, error) {
		l, err := p.listen(network, address)
		if err != nil {
			return nil, err
		}
		return &witnessed{Listener: l, journal: p.journal, device: device}, nil
	}
}

type witnessed struct {
	net.Listener
	journal *plc.Journal
	device  string
}

// Accept implements [net.Listener].
func (l *witnessed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &witnessedConn{Conn: c, l: l}, nil
}

type witnessedConn struct {
	net.Conn
	l *witnessed
}

// Read implements [net.Conn].
func (c *witnessedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.l.journal.Record(plc.Request{Time: time.Now(), Device: c.l.device, Area: "opcua", Remote: c.RemoteAddr().String()})
	}
	return n, err
}

// SetLinger makes the connection's end a reset, where it is TCP.
func (c *witnessedConn) SetLinger(seconds int) error {
	if t, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return t.SetLinger(seconds)
	}
	return nil
}
