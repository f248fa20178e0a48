package plc

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
	"time"
)

// maxJournalValues is how many written values a journal entry keeps.
const maxJournalValues = 8

// TenureGap is how long a client may be silent towards a device and still count as polling it. A client that comes
// back after a longer silence begins a new tenure.
const TenureGap = 3 * time.Second

// repeatWindow is how long after a write the same bytes count as that write sent twice.
const repeatWindow = 10 * time.Second

// maxHandOvers is how many changes of the polling client are kept for each device.
const maxHandOvers = 256

// maxClients is how many remote addresses are told apart for each device; further ones count as one.
const maxClients = 256

// furtherClients is the name of the clients beyond maxClients.
const furtherClients = "others"

// Request is one request a device got.
type Request struct {
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	Device    string    `json:"device"`
	Unit      uint8     `json:"unit"`
	Function  uint8     `json:"function"`
	Area      string    `json:"area"`
	Address   uint16    `json:"address"`
	Quantity  uint16    `json:"quantity"`
	Remote    string    `json:"remote"`
	Write     bool      `json:"write,omitempty"`
	Values    []uint16  `json:"values,omitempty"`
	Exception uint8     `json:"exception,omitempty"`
	Fault     Kind      `json:"fault,omitempty"`
}

// Journal is the ground truth of a simulated plant: who asked which device for what, and when. One journal serves all
// devices of a process. It is bounded: the oldest requests are forgotten, the sums are not.
type Journal struct {
	mu      sync.Mutex
	ring    []Request
	seq     uint64 // of the newest request; the ring holds the last len(ring)
	devices map[string]*deviceLog
}

// NewJournal returns a journal that keeps the last size requests.
func NewJournal(size int) *Journal {
	return &Journal{ring: make([]Request, max(size, 1)), devices: map[string]*deviceLog{}}
}

// deviceLog is the sum of what one device saw.
type deviceLog struct {
	clients   map[string]*client
	poller    string // who asked last
	last      time.Time
	overlap   Overlap
	handOvers []HandOver
	gap       time.Duration
	repeated  uint64
	writes    []written // the last few
}

type client struct {
	requests, writes, exceptions, connections uint64
	first, last                               time.Time
	tenure                                    time.Time // when the present run of requests began
}

type written struct {
	at     time.Time
	remote string
	tid    uint16
	pdu    []byte
}

// Overlap is a time in which two clients polled the same device at once.
type Overlap struct {
	A        string    `json:"a,omitempty"`
	B        string    `json:"b,omitempty"`
	From     time.Time `json:"from,omitzero"`
	Duration float64   `json:"duration_ms"`
}

// HandOver is a moment at which the polling of a device moved to another client.
type HandOver struct {
	Time  time.Time `json:"time"`
	From  string    `json:"from"`
	To    string    `json:"to"`
	GapMs float64   `json:"gap_ms"` // since the last request of the other
}

// Polls is what one device saw of one client.
type Polls struct {
	Requests    uint64    `json:"requests"`
	Writes      uint64    `json:"writes"`
	Exceptions  uint64    `json:"exceptions"`
	Connections uint64    `json:"connections"`
	First       time.Time `json:"first,omitzero"`
	Last        time.Time `json:"last,omitzero"`
}

// Summary is what one device saw of everybody.
type Summary struct {
	Device         string           `json:"device"`
	Clients        map[string]Polls `json:"clients"`         // by remote IP
	Overlap        Overlap          `json:"longest_overlap"` // the longest
	HandOvers      []HandOver       `json:"hand_overs"`      // the newest last
	LongestGapMs   float64          `json:"longest_gap_ms"`  // between two requests, whoever sent them
	RepeatedWrites uint64           `json:"repeated_writes"` // the same write frame seen twice
	LastRequest    time.Time        `json:"last_request,omitzero"`
	Poller         string           `json:"poller,omitempty"` // who sent it
}

// Record adds a request that came by another way than Modbus.
func (j *Journal) Record(r Request) { j.record(r, frame{}) }

func (j *Journal) record(r Request, f frame) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	r.Seq = j.seq
	r.Values = slices.Clone(r.Values)
	j.ring[j.seq%uint64(len(j.ring))] = r
	d := j.device(r.Device)
	if r.Write && len(f.pdu) > 0 {
		d.noteWrite(r, f)
	}
	d.note(r)
}

func (j *Journal) device(name string) *deviceLog {
	d := j.devices[name]
	if d == nil {
		d = &deviceLog{clients: map[string]*client{}}
		j.devices[name] = d
	}
	return d
}

func (j *Journal) connected(server, ip string, at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c, _ := j.device(server).client(ip)
	c.connections++
}

// client returns what is known of an address, and the name it goes by.
func (d *deviceLog) client(ip string) (*client, string) {
	c := d.clients[ip]
	if c == nil && len(d.clients) >= maxClients {
		ip = furtherClients
		c = d.clients[ip]
	}
	if c == nil {
		c = &client{}
		d.clients[ip] = c
	}
	return c, ip
}

func (d *deviceLog) note(r Request) {
	c, ip := d.client(hostOf(r.Remote))
	if c.requests == 0 {
		c.first = r.Time
	}
	if c.requests == 0 || r.Time.Sub(c.last) > TenureGap {
		c.tenure = r.Time
	}
	c.requests++
	if r.Write {
		c.writes++
	}
	if r.Exception != 0 {
		c.exceptions++
	}
	c.last = r.Time
	for other, o := range d.clients {
		if other != ip && o.requests > 0 {
			d.noteOverlap(other, o, ip, c)
		}
	}
	d.noteTurn(ip, r.Time)
}

// noteOverlap measures the time the tenures of two clients have in common: none if one ended before the other began.
func (d *deviceLog) noteOverlap(nameA string, a *client, nameB string, b *client) {
	from, to := a.tenure, a.last
	if b.tenure.After(from) {
		from = b.tenure
	}
	if b.last.Before(to) {
		to = b.last
	}
	if ms := millis(to.Sub(from)); ms > d.overlap.Duration {
		d.overlap = Overlap{A: nameA, B: nameB, From: from, Duration: ms}
	}
}

func (d *deviceLog) noteTurn(ip string, at time.Time) {
	if !d.last.IsZero() {
		d.gap = max(d.gap, at.Sub(d.last))
	}
	if d.poller != "" && d.poller != ip {
		d.handOvers = append(d.handOvers, HandOver{Time: at, From: d.poller, To: ip, GapMs: millis(at.Sub(d.last))})
		if len(d.handOvers) > maxHandOvers {
			d.handOvers = slices.Delete(d.handOvers, 0, 1)
		}
	}
	d.poller, d.last = ip, at
}

// noteWrite counts a write frame that is the same, transaction id included, as one seen a moment ago.
func (d *deviceLog) noteWrite(r Request, f frame) {
	d.writes = slices.DeleteFunc(d.writes, func(w written) bool { return r.Time.Sub(w.at) > repeatWindow })
	for _, w := range d.writes {
		if w.remote == r.Remote && w.tid == f.tid && bytes.Equal(w.pdu, f.pdu) {
			d.repeated++
		}
	}
	if len(d.writes) == maxHandOvers {
		d.writes = slices.Delete(d.writes, 0, 1)
	}
	d.writes = append(d.writes, written{at: r.Time, remote: r.Remote, tid: f.tid, pdu: f.pdu})
}

// Requests returns the requests after seq that are still kept, oldest first, at most limit of them (0 means all).
func (j *Journal) Requests(after uint64, limit int) []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := after + 1
	if n := uint64(len(j.ring)); j.seq > n {
		first = max(first, j.seq-n+1)
	}
	list := []Request{}
	for q := first; q <= j.seq && (limit == 0 || len(list) < limit); q++ {
		list = append(list, j.ring[q%uint64(len(j.ring))])
	}
	return list
}

// Summaries returns what each device saw, by name.
func (j *Journal) Summaries() []Summary {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := []Summary{}
	for name, d := range j.devices {
		s := Summary{
			Device: name, Clients: map[string]Polls{}, Overlap: d.overlap, HandOvers: append([]HandOver{}, d.handOvers...),
			LongestGapMs: millis(d.gap), RepeatedWrites: d.repeated, LastRequest: d.last, Poller: d.poller,
		}
		for ip, c := range d.clients {
			s.Clients[ip] = Polls{c.requests, c.writes, c.exceptions, c.connections, c.first, c.last}
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Summary) int { return cmp.Compare(a.Device, b.Device) })
	return list
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
