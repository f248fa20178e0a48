// Package config turns plant.yaml into the typed configuration of a pair. It is strict: an unknown field, a
// contradiction or a number out of range is an error with file, line, column and path, and all errors are reported at
// once. The result is read-only and the same on both nodes.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scada/acquisition/modbus"
	"scada/acquisition/opcua"
	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history/export"
	"scada/redundancy/witness"
)

// Config is the configuration of the pair, checked.
type Config struct {
	Path    string // of plant.yaml
	Project string
	// Digest names the content: equal on both nodes when they run the same configuration, whatever its comments.
	Digest      string
	Nodes       map[string]Node
	Redundancy  Redundancy
	Areas       []Area
	Devices     []Device
	ScanClasses map[string]time.Duration
	Tags        []tag.Definition // in order of name; the index is the ID
	Alarms      alarms.Config
	Notify      Notify
	History     History
	Users       []User
	Tokens      []Token
	Web         Web
	OPCUA       OPCUA
	Texts       Texts

	byName map[string]tag.ID
}

// Node is one of the two servers.
type Node struct {
	Name  string
	Links map[string]string // path name -> address the link listens on
	HTTP  string
	OPCUA string
	Data  string
	Field string // local address for connections to devices; "" lets the system choose
}

// Redundancy is how the pair watches itself.
type Redundancy struct {
	Heartbeat time.Duration
	Misses    int
	Failback  string
	HoldOff   time.Duration
	JoinWait  time.Duration
	Policy    string
	// HealthMargin is how much healthier the peer must be for an area to move there; [role.NoHealthSwitch] for never.
	HealthMargin int
	Witnesses    witness.Config
	TLS          *LinkTLS // nil: the link is not secured, which only loopback addresses may be
}

// LinkTLS is how the link between the nodes is secured.
type LinkTLS struct {
	Dir      string        // of a node's certificates, inside its data folder
	Validity time.Duration // of a certificate that is made
}

// LinkDir is the folder of a node's link certificates; "" when the link is not secured.
func (c *Config) LinkDir(node string) string {
	if c.Redundancy.TLS == nil {
		return ""
	}
	return filepath.Join(c.Nodes[node].Data, c.Redundancy.TLS.Dir)
}

// WebDir is the folder of a node's web certificate; "" when the web is not secured.
func (c *Config) WebDir(node string) string {
	if c.Web.TLSDir == "" {
		return ""
	}
	return filepath.Join(c.Nodes[node].Data, c.Web.TLSDir)
}

// Area is a set of devices that changes server as one.
type Area struct {
	Name      string
	Primary   string
	Resources []Resource // in the order of their start
}

// Device is one field device; Modbus or OPCUA is set after its Driver. The calculated tags of an area are a device too.
type Device struct {
	Name   string
	Area   string
	Driver string
	Probe  string
	Weight int // in the health of a node that does not reach it
	Modbus *modbus.Device
	OPCUA  *opcua.Device

	Calculated []tag.Definition // the address of each is its expression
	System     []tag.Definition // the address of each is a fact of the pair
	App        *App
}

// App is an application of the plant's engineers.
type App struct {
	File       string // its source at the first start, and whenever it changes
	Inputs     []string
	Writes     []string
	Outputs    []tag.Definition
	Every      time.Duration // period of on_timer; 0: it has none
	StaleAfter time.Duration
}

// History is how long what is kept, and who is sent it.
type History struct {
	Raw     time.Duration // samples
	Hourly  time.Duration // hourly summaries
	Journal time.Duration // alarms and events
	MaxDisk int64         // bytes; 0 means no limit
	Export  []export.Config

	Backfill     int64 // bytes a second that are exchanged with the other node at most, of what it or this one lacks
	StopWhenFull bool  // keep what there is and record no more; else the oldest day makes way
}

// User is a person who may log in.
type User struct {
	Name, Role, PasswordHash string
	Areas                    map[string]string // area -> the role there instead
}

// Token is a machine's access: the SHA-256 of its bearer token in hexadecimal.
type Token struct {
	Name, Role, Hash string
	Areas            map[string]string
}

// Web is what the two web servers share.
type Web struct {
	PairKey []byte // signs tickets for the other node; at least 32 bytes
	Origins []string
	TLSDir  string // of a node's web certificate, inside its data folder; "" for plain HTTP
	OIDC    *OIDC  // nil: only users of the plant log in
}

// OPCUA is how OPC UA clients may connect.
type OPCUA struct {
	AllowNone bool // security policy None
	Anonymous bool // read-only without log-in
	Hosts     []string
	Hot       bool // clients are told to keep the standby's items sampling; else that it is warm
}

// Lookup returns the ID of a tag by name.
func (c *Config) Lookup(name string) (tag.ID, bool) {
	id, ok := c.byName[name]
	return id, ok
}

// Peer returns the other node's name.
func (c *Config) Peer(node string) string {
	for name := range c.Nodes {
		if name != node {
			return name
		}
	}
	return ""
}

// load checks the text of plant.yaml; find gives it the tag files.
func load(path string, src []byte, find finder) (*Config, error) {
	var f file
	d := parse(path, src, &f)
	c := &Config{Path: path, Project: f.Project, ScanClasses: f.ScanClasses, byName: map[string]tag.ID{}}
	if d.read && len(d.errs) < maxErrors {
		b := builder{document: d, file: &f, config: c, dir: filepath.Dir(path), find: find}
		b.build()
	}
	if len(d.errs) > 0 {
		return nil, sortErrors(d.errs)
	}
	c.Digest = digest(&f, c)
	return c, nil
}

func readLimited(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() || info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s is a folder or larger than %d bytes", path, maxFileBytes)
	}
	return os.ReadFile(path)
}

// digest hashes what the file says, not how: the order of map keys and comments do not count.
func digest(f *file, c *Config) string {
	plain := *f
	plain.Tags, plain.TagFiles, plain.TextFiles = nil, nil, nil
	h := sha256.New()
	enc := json.NewEncoder(h)
	// Encoding plain structs of strings and numbers cannot fail; a NaN was refused when it was read.
	_ = enc.Encode(plain)
	_ = enc.Encode(c.Tags)
	if len(c.Texts) > 0 {
		_ = enc.Encode(c.Texts)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// builder applies the rules section by section, collecting errors in the document.
type builder struct {
	*document
	file   *file
	config *Config
	dir    string
	find   finder

	appDevices  map[string]*Device  // the applications by name
	expressions map[string]*tagFile // where the calculated tags stand
	tagsMissing bool                // a tag file could not be read: that a tag is unknown would tell nothing new
}

func (b *builder) build() {
	if b.file.Project == "" {
		b.failf("project", "a project name is required")
	} else if !isName(b.file.Project) {
		b.failf("project", "%q: letters, digits, - and _ only, 64 at most", b.file.Project)
	}
	b.nodes()
	b.redundancy()
	b.areas()
	b.witnesses()
	b.scanClasses()
	b.profiles()
	devices := b.devices()
	b.apps(devices)
	b.tags(devices)
	b.calculated()
	b.checkApps()
	b.alarms()
	b.notifications()
	b.history()
	b.people()
	b.texts()
}

func isName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) < 0
}

func oneOf(s string, names ...string) bool { return slices.Contains(names, s) }
