package config

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"scada/redundancy/pki"
	"scada/redundancy/role"
	"scada/web/api"
)

// Bounds and defaults of the redundancy section. The heartbeat bounds are what a software pair can promise: below
// 20 ms a scheduler's hiccup is a fault, above 10 s nobody would call it redundant.
const (
	minHeartbeat     = 20 * time.Millisecond
	maxHeartbeat     = 10 * time.Second
	defaultHeartbeat = 100 * time.Millisecond
	minMisses        = 2
	maxMisses        = 20
	defaultMisses    = 5
	defaultHoldOff   = 10 * time.Second
	maxHoldOff       = time.Hour
	minPairKeyBytes  = 32
	maxPairKeyBytes  = 4096
	defaultLinkDir   = "pki/link"
)

func (b *builder) nodes() {
	b.config.Nodes = map[string]Node{}
	if len(b.file.Nodes) != 2 {
		b.failf("nodes", "a pair is required: two nodes, found %d", len(b.file.Nodes))
	}
	used := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(b.file.Nodes)) {
		n := b.file.Nodes[name]
		path := "nodes." + name
		if !isName(name) {
			b.failf(path, "%q: letters, digits, - and _ only, 64 at most", name)
		}
		if len(b.file.Nodes) == 2 && len(n.Links) == 0 {
			b.failf(path, "a pair needs at least one link (links: {lan: \"10.0.0.1:7401\"})")
		}
		for _, link := range slices.Sorted(maps.Keys(n.Links)) {
			b.address(path+".links."+link, n.Links[link], used)
		}
		b.address(path+".http", n.HTTP, used)
		if n.OPCUA != "" {
			b.address(path+".opcua", n.OPCUA, used)
		}
		if n.Data == "" {
			b.failf(path, "data: a folder for this node's files is required")
		}
		if n.Field != "" && net.ParseIP(n.Field) == nil {
			b.failf(path+".field", "%q is not an IP address", n.Field)
		}
		b.config.Nodes[name] = Node{Name: name, Links: n.Links, HTTP: n.HTTP, OPCUA: n.OPCUA, Data: b.resolvePath(n.Data), Field: n.Field}
	}
	b.samePaths()
}

// samePaths checks that both nodes name the same network paths: a path with one end carries no heartbeat.
func (b *builder) samePaths() {
	if len(b.config.Nodes) != 2 {
		return
	}
	for name, n := range b.config.Nodes {
		peer := b.config.Nodes[b.config.Peer(name)]
		for link := range n.Links {
			if _, ok := peer.Links[link]; !ok {
				b.failf("nodes."+name+".links."+link, "node %s has no link of this name", peer.Name)
			}
		}
		if filepath.Clean(n.Data) == filepath.Clean(peer.Data) && name < peer.Name {
			b.failf("nodes."+peer.Name+".data", "both nodes use this folder")
		}
	}
}

func (b *builder) address(path, addr string, used map[string]string) {
	host, port, err := net.SplitHostPort(addr)
	p, perr := strconv.Atoi(port)
	if err != nil || perr != nil || host == "" || p < 1 || p > 65535 {
		b.failf(path, "%q is not host:port", addr)
		return
	}
	if other, taken := used[addr]; taken {
		b.failf(path, "%s is already used by %s", addr, other)
		return
	}
	used[addr] = path
}

func (b *builder) resolvePath(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(b.dir, p)
}

func (b *builder) redundancy() {
	r := b.file.Redundancy
	out := Redundancy{
		Heartbeat: orDefault(r.Heartbeat, defaultHeartbeat), Misses: orDefault(r.Misses, defaultMisses),
		Failback: orDefault(r.Failback, "auto"), HoldOff: orDefault(r.HoldOff, defaultHoldOff),
		JoinWait: r.JoinWait, Policy: orDefault(r.Policy, "availability"),
	}
	if out.Heartbeat < minHeartbeat || out.Heartbeat > maxHeartbeat {
		b.failf("redundancy.heartbeat", "%s is outside %s .. %s", out.Heartbeat, minHeartbeat, maxHeartbeat)
	}
	if out.Misses < minMisses || out.Misses > maxMisses {
		b.failf("redundancy.misses", "%d is outside %d .. %d", out.Misses, minMisses, maxMisses)
	}
	if !oneOf(out.Failback, "auto", "manual", "never") {
		b.failf("redundancy.failback", "%q is none of auto, manual, never", out.Failback)
	}
	if out.HoldOff < 0 || out.HoldOff > maxHoldOff {
		b.failf("redundancy.hold_off", "%s is outside 0s .. %s", out.HoldOff, maxHoldOff)
	}
	if out.JoinWait < 0 || out.JoinWait > maxHoldOff {
		b.failf("redundancy.join_wait", "%s is outside 0s .. %s", out.JoinWait, maxHoldOff)
	}
	if !oneOf(out.Policy, "availability", "safety") {
		b.failf("redundancy.policy", "%q is none of availability, safety", out.Policy)
	}
	out.HealthMargin = b.healthMargin(r.Margin)
	out.TLS = b.linkTLS()
	b.config.Redundancy = out
}

// healthMargin is 0 in the file for "never".
func (b *builder) healthMargin(given *int) int {
	switch {
	case given == nil:
		return role.DefaultHealthMargin
	case *given == 0:
		return role.NoHealthSwitch
	case *given < 0 || *given > role.MaxHealthMargin:
		b.failf("redundancy.health_margin", "%d is outside 1 .. %d (0: an area never moves to the healthier node)", *given, role.MaxHealthMargin)
	}
	return *given
}

// linkTLS checks how the link is secured. A link that leaves the machine must be: whoever speaks for a node of the pair
// can take the plant over.
func (b *builder) linkTLS() *LinkTLS {
	t := b.file.Redundancy.TLS
	if t == nil {
		for _, name := range slices.Sorted(maps.Keys(b.file.Nodes)) {
			for _, link := range slices.Sorted(maps.Keys(b.file.Nodes[name].Links)) {
				if address := b.file.Nodes[name].Links[link]; !loopback(address) {
					b.failf("nodes."+name+".links."+link, "%s is not a loopback address: the link must be secured (redundancy: {tls: {dir: pki/link}}, then scadad link pair)", address)
				}
			}
		}
		return nil
	}
	out := &LinkTLS{Dir: orDefault(t.Dir, defaultLinkDir), Validity: orDefault(t.Validity, pki.DefaultValidity)}
	if !filepath.IsLocal(out.Dir) || filepath.Clean(out.Dir) == "." {
		b.failf("redundancy.tls.dir", "%q is not a folder inside the node's data folder", out.Dir)
	}
	if out.Validity < pki.MinValidity || out.Validity > pki.MaxValidity {
		b.failf("redundancy.tls.validity", "%s is outside %s .. %s", out.Validity, pki.MinValidity, pki.MaxValidity)
	}
	return out
}

// loopback reports whether an address is on this machine. What is no address is told elsewhere.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (b *builder) areas() {
	if len(b.file.Areas) == 0 {
		first := slices.Sorted(maps.Keys(b.file.Nodes))
		if len(first) > 0 {
			b.config.Areas = []Area{{Name: "main", Primary: first[0]}}
		}
		return
	}
	seen := map[string]bool{}
	virtual := map[netip.Addr]string{}
	for i, a := range b.file.Areas {
		path := index("areas", i)
		if !isName(a.Name) {
			b.failf(path, "name %q: letters, digits, - and _ only, 64 at most", a.Name)
		}
		if seen[a.Name] {
			b.failf(path+".name", "area %q stands twice", a.Name)
		}
		seen[a.Name] = true
		if _, ok := b.file.Nodes[a.Primary]; !ok {
			b.failf(path, "primary %q is not one of the nodes", a.Primary)
		}
		b.config.Areas = append(b.config.Areas, Area{
			Name: a.Name, Primary: a.Primary, Resources: b.resources(path+".resources", a.Resources, virtual),
		})
	}
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (b *builder) people() {
	seen := map[string]bool{}
	for i, u := range b.file.Users {
		path := index("users", i)
		b.person(path, u.Name, u.Role, seen)
		b.areaRoles(path, u.Areas)
		if _, err := api.ParsePasswordHash(u.PasswordHash); err != nil {
			b.failf(path+".password_hash", "an argon2id hash is required (make one with: scadactl user hash): %v", err)
		}
		b.config.Users = append(b.config.Users, User(u))
	}
	for i, t := range b.file.Tokens {
		path := index("tokens", i)
		b.person(path, t.Name, t.Role, seen)
		b.areaRoles(path, t.Areas)
		if sum, err := hex.DecodeString(t.Hash); err != nil || len(sum) != sha256.Size {
			b.failf(path+".hash", "the SHA-256 of the token in hexadecimal is required")
		}
		b.config.Tokens = append(b.config.Tokens, Token(t))
	}
	b.config.Web.Origins = b.file.Web.Origins
	b.pairKey()
	b.webSecurity()
	b.oidc()
	b.config.OPCUA = OPCUA{AllowNone: b.file.OPCUA.AllowNone, Anonymous: b.file.OPCUA.Anonymous == "read", Hosts: b.file.OPCUA.Hosts, Hot: b.file.OPCUA.Redundancy == "hot"}
	if !oneOf(b.file.OPCUA.Redundancy, "", "warm", "hot") {
		b.failf("opcua.redundancy", "%q is none of warm, hot", b.file.OPCUA.Redundancy)
	}
	if !oneOf(b.file.OPCUA.Anonymous, "", "read", "no") {
		b.failf("opcua.anonymous", "%q is none of read, no", b.file.OPCUA.Anonymous)
	}
}

func (b *builder) person(path, name, role string, seen map[string]bool) {
	if !isName(name) {
		b.failf(path, "name %q: letters, digits, - and _ only, 64 at most", name)
	}
	if seen[name] {
		b.failf(path+".name", "%q stands twice", name)
	}
	seen[name] = true
	if !oneOf(role, "viewer", "operator", "engineer", "admin") {
		b.failf(path+".role", "%q is none of viewer, operator, engineer, admin", role)
	}
}

// areaRoles checks the roles somebody has in some areas instead of that in the whole plant.
func (b *builder) areaRoles(path string, areas map[string]string) {
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		at := path + ".areas." + area
		if !slices.ContainsFunc(b.config.Areas, func(a Area) bool { return a.Name == area }) {
			b.failf(at, "there is no area %q", area)
		}
		if role := areas[area]; !oneOf(role, "viewer", "operator", "engineer", "admin") {
			b.failf(at, "%q is none of viewer, operator, engineer, admin", role)
		}
	}
}

// webSecurity refuses plain HTTP where others can read it, unless the file says that this is meant.
func (b *builder) webSecurity() {
	if t := b.file.Web.TLS; t != nil {
		switch {
		case t.Dir == "" || !filepath.IsLocal(t.Dir):
			b.failf("web.tls.dir", "a folder inside the node's data folder is required (pki/web)")
		case b.file.Web.Insecure:
			b.failf("web.insecure", "tls and insecure contradict each other")
		}
		b.config.Web.TLSDir = t.Dir
		return
	}
	if b.file.Web.Insecure {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(b.file.Nodes)) {
		if address := b.file.Nodes[name].HTTP; !loopback(address) {
			b.failf("nodes."+name+".http", "%s is not a loopback address: passwords would travel in the clear (web: {tls: {dir: pki/web}}, then scadactl cert issue; or web: {insecure: true})", address)
		}
	}
}

func (b *builder) pairKey() {
	name := b.file.Web.PairKeyFile
	if name == "" {
		if len(b.file.Users) > 0 && len(b.file.Nodes) == 2 {
			b.failf("web", "pair_key_file is required so that a log-in is valid on both nodes (%d random bytes or more)", minPairKeyBytes)
		}
		return
	}
	key, err := os.ReadFile(b.resolvePath(name))
	switch {
	case err != nil:
		b.failf("web.pair_key_file", "%s", err)
	case len(key) < minPairKeyBytes || len(key) > maxPairKeyBytes:
		b.failf("web.pair_key_file", "the key has %d bytes, %d to %d are required", len(key), minPairKeyBytes, maxPairKeyBytes)
	default:
		b.config.Web.PairKey = key
	}
}
