package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/cmd/internal/config"
	"scada/redundancy/resource"
	"scada/redundancy/role"
)

func load(t *testing.T, text string, others map[string]string) (*config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range others {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "plant.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	return c, err
}

func base(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBaseIsReadWhole(t *testing.T) {
	c, err := load(t, base(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	id, ok := c.Lookup("line1/pump1/speed")
	if !ok || c.Tags[id].ID != id {
		t.Fatalf("the tag has ID %d, found %v", id, ok)
	}
	speed := c.Tags[id]
	want := tag.Definition{
		ID: id, Name: "line1/pump1/speed", Area: "main", Device: "plc1", Address: "hr:100", Type: tag.TypeFloat64, RawType: tag.TypeUint16,
		ScanClass: "fast", ScanPeriod: 100 * time.Millisecond, Unit: "rpm", Description: "Speed", Range: tag.Range{High: 3000},
		Scale: tag.Linear{RawHigh: 65535, High: 3000}, Deadband: 0.5, Writable: true,
	}
	want.Bits = speed.Bits
	if got, exp := speed, want; got.Name != exp.Name || got.Type != exp.Type || got.RawType != exp.RawType || got.Scale != exp.Scale ||
		got.ScanPeriod != exp.ScanPeriod || got.Range != exp.Range || got.Area != exp.Area || !got.Writable {
		t.Errorf("got  %+v\nwant %+v", got, exp)
	}
	if d := c.Devices[0]; d.Modbus == nil || len(d.Modbus.Tags) != 2 || d.Modbus.Retries != 2 || d.Area != "main" {
		t.Errorf("device %+v", d)
	}
	if a := c.Alarms.Alarms[0]; a.OnDelay != 5*time.Second || a.Priority != alarms.PriorityCritical || a.Limits[alarms.LevelHi].Value != 2800 || a.Unit != "rpm" {
		t.Errorf("alarm %+v", a)
	}
	if a := c.Alarms.Alarms[1]; a.OnDelay != 500*time.Millisecond || a.Priority != alarms.PriorityLow {
		t.Errorf("alarm %+v", a)
	}
	r := c.Redundancy
	if r.Heartbeat != 100*time.Millisecond || r.Misses != 5 || r.HoldOff != 10*time.Second || r.Failback != "auto" {
		t.Errorf("redundancy defaults %+v", r)
	}
	if c.History.Raw != 30*24*time.Hour || c.History.MaxDisk != 20<<30 {
		t.Errorf("history %+v", c.History)
	}
}

func TestLinkTLS(t *testing.T) {
	c, err := load(t, base(t), nil)
	if err != nil || c.LinkDir("a") != "" {
		t.Fatalf("a loopback link without tls: %v, folder %q", err, c.LinkDir("a"))
	}
	text := strings.ReplaceAll(base(t), `lan: "127.0.`, `lan: "10.1.`)
	for section, want := range map[string]config.LinkTLS{
		"{}":                              {Dir: "pki/link", Validity: 3652 * 24 * time.Hour},
		"{dir: keys, validity: 90d}":      {Dir: "keys", Validity: 90 * 24 * time.Hour},
		"{dir: pki/a/../b, validity: 5y}": {Dir: "pki/a/../b", Validity: 5 * 365 * 24 * time.Hour},
	} {
		c, err := load(t, strings.Replace(text, "areas:", "redundancy: {tls: "+section+"}\nareas:", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Redundancy.TLS; got == nil || *got != want {
			t.Errorf("%s: %+v, want %+v", section, got, want)
		}
		if got, data := c.LinkDir("b"), c.Nodes["b"].Data; got != filepath.Join(data, want.Dir) {
			t.Errorf("%s: folder %s", section, got)
		}
	}
}

func TestDigestNamesTheContent(t *testing.T) {
	a, err := load(t, base(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	same, err := load(t, "# another comment\n"+strings.Replace(base(t), "{name: main, primary: a}", "{primary: a, name: main}", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := load(t, strings.Replace(base(t), "Hi: 2800", "Hi: 2799", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Digest != same.Digest || a.Digest == other.Digest || a.Digest == "" {
		t.Errorf("digests %s, %s with other comments, %s with another limit", a.Digest, same.Digest, other.Digest)
	}
}

// TestEveryMessage changes one thing in the base file at a time: each error names file, line, column and path.
func TestEveryMessage(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"project: works", "project: \"\"", `plant.yaml:1:1: project: a project name is required`},
		{"project: works", "project: a b", `plant.yaml:1:1: project: "a b": letters, digits, - and _ only, 64 at most`},
		{"project: works", "projekt: works", `plant.yaml:1:1: projekt: unknown field (did you mean "project"?)`},
		{"project: works", "project: works\nproject: works", `plant.yaml:2:1: not valid YAML: mapping key "project" already defined`},
		{"areas:", "areas: [", `plant.yaml:`},
		{`opcua: "127.0.0.1:4842", data: data/b`, `opcua: "127.0.0.1:4841", data: data/b`, `plant.yaml:4:63: nodes.b.opcua: 127.0.0.1:4841 is already used by nodes.a.opcua`},
		{`data: data/b`, `data: data/a`, `plant.yaml:4:88: nodes.b.data: both nodes use this folder`},
		{`{lan: "127.0.0.1:7402"}`, `{ded: "127.0.0.1:7402"}`, `plant.yaml:4:15: nodes.b.links.ded: node a has no link of this name`},
		{`http: "127.0.0.1:8082"`, `http: "8082"`, `plant.yaml:4:39: nodes.b.http: "8082" is not host:port`},
		{"field: 127.0.0.11", "field: eth0", `plant.yaml:3:102: nodes.a.field: "eth0" is not an IP address`},
		{"  b: {links", "  c: {links", ``},
		{"areas:", "redundancy: {heartbeat: 5ms}\nareas:", `plant.yaml:5:14: redundancy.heartbeat: 5ms is outside 20ms .. 10s`},
		{"areas:", "redundancy: {heartbeat: soon}\nareas:", `plant.yaml:5:25: redundancy.heartbeat: "soon" is not a duration (100ms, 1s, 10m, 24h, 30d, 5y)`},
		{"areas:", "redundancy: {misses: 1}\nareas:", `plant.yaml:5:14: redundancy.misses: 1 is outside 2 .. 20`},
		{"areas:", "redundancy: {failback: later}\nareas:", `plant.yaml:5:14: redundancy.failback: "later" is none of auto, manual, never`},
		{"areas:", "redundancy: {policy: luck}\nareas:", `plant.yaml:5:14: redundancy.policy: "luck" is none of availability, safety`},
		{"areas:", "redundancy: {health_margin: 10001}\nareas:", `plant.yaml:5:14: redundancy.health_margin: 10001 is outside 1 .. 10000`},
		{"areas:", "redundancy: {health_margin: -1}\nareas:", `redundancy.health_margin: -1 is outside 1 .. 10000`},
		{"driver: modbus,", "driver: modbus, weight: 1001,", `weight: 1001 is outside 0 .. 1000`},
		{"areas:", "redundancy: {hold_off: 2h}\nareas:", `plant.yaml:5:14: redundancy.hold_off: 2h0m0s is outside 0s .. 1h0m0s`},
		{"areas:", "redundancy: {tls: {dir: /etc/keys}}\nareas:", `plant.yaml:5:20: redundancy.tls.dir: "/etc/keys" is not a folder inside the node's data folder`},
		{"areas:", "redundancy: {tls: {dir: ../keys}}\nareas:", `redundancy.tls.dir: "../keys" is not a folder inside`},
		{"areas:", "redundancy: {tls: {dir: .}}\nareas:", `redundancy.tls.dir: "." is not a folder inside`},
		{"areas:", "redundancy: {tls: {validity: 89d}}\nareas:", `redundancy.tls.validity: 2136h0m0s is outside 2160h0m0s .. 876600h0m0s`},
		{"areas:", "redundancy: {tls: {validity: 101y}}\nareas:", `redundancy.tls.validity: `},
		{"areas:", "redundancy: {tls: yes}\nareas:", `redundancy.tls: a mapping expected, found a single value`},
		{`lan: "127.0.0.1:7401"`, `lan: "10.0.0.1:7401"`, `plant.yaml:3:15: nodes.a.links.lan: 10.0.0.1:7401 is not a loopback address: the link must be secured`},
		{"areas:", "redundancy: [1]\nareas:", `plant.yaml:5:13: redundancy: a mapping expected, found a list`},
		{"primary: a", "primary: c", `plant.yaml:6:5: areas[0]: primary "c" is not one of the nodes`},
		{"primary: a}", "primary: a, resources: [{type: virtual_ip, address: 10.0.0.10/24, interface: eth0}]}", `plant.yaml:6:42: areas[0].resources[0]: name "": letters, digits, - and _ only, 64 at most`},
		{"primary: a}", "primary: a, resources: [{name: x, type: mount}]}", `plant.yaml:6:42: areas[0].resources[0]: type "mount" is none of virtual_ip, command`},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10, interface: eth0}]}", `plant.yaml:6:70: areas[0].resources[0].address: "10.0.0.10" is not an address with a prefix length (10.0.0.10/24)`},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 127.0.0.5/8, interface: eth0}]}", `areas[0].resources[0].address: 127.0.0.5 cannot be a virtual address`},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10/24}]}", `areas[0].resources[0].address: interface "": 1 to 15 characters`},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10/24, interface: enp0s31f6u1u4i2}]}", ``},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10/24, interface: enp0s31f6u1u4i23}]}", `areas[0].resources[0].address: interface "enp0s31f6u1u4i23": 1 to 15 characters`},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10/24, interface: eth0, stop: [/bin/true]}]}", `plant.yaml:6:110: areas[0].resources[0].stop: the type is virtual_ip`},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10/24, interface: eth0, netmask: 24}]}", `plant.yaml:6:110: areas[0].resources[0].netmask: unknown field`},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10/24, interface: eth0}, {name: x, type: virtual_ip, address: 10.0.0.11/24, interface: eth0}]}", `plant.yaml:6:112: areas[0].resources[1].name: resource "x" stands twice`},
		{"primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10/24, interface: eth0}, {name: y, type: virtual_ip, address: 10.0.0.10/32, interface: eth1}]}", `areas[0].resources[1].address: 10.0.0.10 is already used by areas[0].resources[0]`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, address: 10.0.0.10/24, start: [/bin/true], stop: [/bin/true]}]}", `areas[0].resources[0].address: the type is command`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, interface: eth0, start: [/bin/true], stop: [/bin/true]}]}", `areas[0].resources[0].interface: the type is command`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, start: [/bin/true]}]}", `plant.yaml:6:42: areas[0].resources[0]: start and stop are required`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, start: mount /data, stop: [/bin/true]}]}", `areas[0].resources[0].start: a list expected, found a single value`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, start: [mount, /data], stop: [/bin/true]}]}", `plant.yaml:6:67: areas[0].resources[0].start: "mount" is not an absolute path`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, start: [/bin/true], stop: [" + strings.Repeat("/a, ", 64) + "/a]}]}", `areas[0].resources[0].stop: 65 words: a program and at most 63 arguments`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, start: [/bin/true], stop: [/bin/true, " + strings.Repeat("a", 4097) + "]}]}", `areas[0].resources[0].stop[1]: longer than 4096 bytes`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, start: [/bin/true], stop: [/bin/true], interval: 1ms}]}", `areas[0].resources[0].interval: 1ms is outside 100ms .. 10m0s`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, start: [/bin/true], stop: [/bin/true], limits: {start: 2m}}]}", `areas[0].resources[0].limits.start: 2m0s is outside 10ms .. 1m0s`},
		{"primary: a}", "primary: a, resources: [{name: x, type: command, start: [/bin/true], stop: [/bin/true], limits: {stop: 4001ms}}]}", `plant.yaml:6:30: areas[0].resources: the stop limits add up to 4.001s, more than the 4s a switch-over may wait for`},
		{"primary: a}", "primary: a, resources: [" + strings.Repeat("{}, ", 16) + "{}]}", `plant.yaml:6:30: areas[0].resources: 17 resources, the limit is 16`},
		{"driver: modbus", "driver: profibus", `plant.yaml:8:18: devices[0].driver: "profibus" is none of modbus, opcua`},
		{"driver: modbus, modbus: {", "driver: modbus, opcua: {endpoint: x}, modbus: {", `devices[0].opcua: the driver is modbus`},
		{"name: mixer, driver", "name: plc1, driver", `plant.yaml:9:6: devices[1].name: device "plc1" stands twice`},
		{"unit: 1,", "unit: 256,", `devices[0].modbus.unit: 256 is outside 0 .. 255`},
		{"timeout: 1s", "timeout: 1h", `devices[0].modbus: timeout 1h0m0s is not between`},
		{`"tcp://127.0.0.1:5020"`, `"udp://127.0.0.1:5020"`, `devices[0].modbus: endpoint "udp://127.0.0.1:5020"`},
		{"opc.tcp://127.0.0.1:4855", "http://x", `devices[1].opcua.endpoint: "http://x" is not an endpoint`},
		{"security: None", "security: Secret", `devices[1].opcua.security: "Secret" is none of`},
		{"security: None", "security: None, history: always", `devices[1].opcua.history: "always" is none of none, heal`},
		{"areas:", "opcua: {redundancy: mirrored}\nareas:", `plant.yaml:5:9: opcua.redundancy: "mirrored" is none of warm, hot`},
		{"fast: 100ms", "fast: 1ms", `plant.yaml:10:16: scan_classes.fast: 1ms is outside 10ms .. 24h0m0s`},
		{"scan: fast", "scan: faster", `tags[0].scan: no scan class is named "faster"`},
		{`address: "hr:100"`, `address: "hr:65536"`, `tags[0].address: modbus address "hr:65536"`},
		{`address: "ns=2;s=Speed"`, `address: "Speed"`, `tags[2].address: "Speed" is not a node id`},
		{"type: uint16", "type: word", `tags[0].type: unknown type "word"`},
		{"range: [0, 3000]", "range: [3000, 0]", `tags[0].range: low 3000 must be below high 0`},
		{"range: [0, 3000]", "range: [1]", `tags[0].range: two numbers are required`},
		{"raw: [0, 65535]", "raw: [5, 5]", `tags[0].scale: low 5 must be below high 5`},
		{"deadband: 0.5", "deadband: -1", `tags[0].deadband: -1 is negative`},
		{"deadband: 0.5", "deadband: much", `tags[0].deadband: "much" is not a number`},
		{"mode: all", "mode: some", `tags[0].history: mode "some" is none of all, change, off`},
		{"line1/pump1/running, device", "line1//running, device", `tags[1].name: "line1//running": a name is parts separated by single slashes`},
		{"line1/pump1/running, device", "line1/pump1/speed, device", `tags[1].name: tag "line1/pump1/speed" stands already at`},
		{"device: mixer", "device: mixxer", `tags[2].device: no device is named "mixxer"`},
		{"id: pump1-stopped", "id: pump1-speed", `alarms.list[1].id: `},
		{"tag: line1/pump1/running, type", "tag: line1/pump9/running, type", `alarms.list[1].tag: no tag is named "line1/pump9/running"`},
		{"HiHi: 2900", "HiHi: 2700", `alarms.list[0].limits: `},
		{"HiHi: 2900", "High: 2900", `alarms.list[0].limits.High: "High" is no level`},
		{"priority: 1", "priority: 9", `alarms.list[0].priority: priority 9 is outside 1 (most urgent) .. 4`},
		{"type: discrete", "type: discreet", `alarms.list[1].type: "discreet" is no type of alarm`},
		{"raw: 30d", "raw: 1h", `history.raw: 1h0m0s is shorter than a day`},
		{"20GiB", "20GiB, backfill: 10KiB", `history.backfill: less than 64KiB a second`},
		{"20GiB", "20GiB, when_full: wait", `history.when_full: "wait" is none of drop, stop`},
		{"20GiB", "20 bushels", `history.max_disk: "20 bushels" is not a size (20GiB, 512MiB)`},
		{"history: {raw", "users: [{name: x, role: king, password_hash: secret}]\nhistory: {raw", `users[0].role: "king" is none of viewer, operator, engineer, admin`},
		{"history: {raw", "tag_files: [none/*.csv]\nhistory: {raw", `tag_files[0]: no file matches "none/*.csv"`},
		{"history: {raw", "users: [{name: x, role: viewer, password_hash: \"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\", areas: {south: admin}}]\nhistory: {raw", `users[0].areas.south: there is no area "south"`},
		{"history: {raw", "users: [{name: x, role: viewer, password_hash: \"$argon2id$v=99$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\"}]\nhistory: {raw", `users[0].password_hash: an argon2id hash is required (make one with: scadactl user hash): not an argon2id hash`},
		{"history: {raw", "users: [{name: x, role: viewer, password_hash: \"$argon2id$v=19$m=999999999,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\"}]\nhistory: {raw", `users[0].password_hash: an argon2id hash is required (make one with: scadactl user hash): argon2id cost "m=999999999,t=1,p=1" is out of bounds`},
		{"history: {raw", "users: [{name: x, role: viewer, password_hash: \"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAA\"}]\nhistory: {raw", `users[0].password_hash: an argon2id hash is required (make one with: scadactl user hash): argon2id key is not base64`},
		{"history: {raw", "tokens: [{name: x, role: viewer, hash: \"" + strings.Repeat("z", 64) + "\"}]\nhistory: {raw", `tokens[0].hash: the SHA-256 of the token in hexadecimal is required`},
		{"history: {raw", "tokens: [{name: x, role: viewer, hash: \"ab\", areas: {main: king}}]\nhistory: {raw", `tokens[0].areas.main: "king" is none of viewer, operator, engineer, admin`},
		{`http: "127.0.0.1:8081"`, `http: "10.0.0.1:8081"`, `nodes.a.http: 10.0.0.1:8081 is not a loopback address: passwords would travel in the clear`},
		{`http: "127.0.0.1:8081"`, `http: ":8081"`, `nodes.a.http: :8081 is not a loopback address`},
		{"history: {raw", "web: {tls: {dir: ../keys}}\nhistory: {raw", `web.tls.dir: a folder inside the node's data folder is required`},
		{"history: {raw", "web: {tls: {dir: pki/web}, insecure: true}\nhistory: {raw", `web.insecure: tls and insecure contradict each other`},
		{"history: {raw", "web: {oidc: {issuer: \"http://sso.test\", client_id: x, roles: [{value: x, role: viewer}]}}\nhistory: {raw", `web.oidc.issuer: "http://sso.test": https is required`},
		{"history: {raw", "web: {oidc: {issuer: \"ldap://sso.test\", client_id: x, roles: [{value: x, role: viewer}]}}\nhistory: {raw", `web.oidc.issuer: "ldap://sso.test" is not an address`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", roles: [{value: x, role: viewer}]}}\nhistory: {raw", `web.oidc.client_id: a text of 1 to 256 bytes is required`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x}}\nhistory: {raw", `web.oidc.roles: 1 to 64 roles are required`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, roles: [{value: x, role: king}]}}\nhistory: {raw", `web.oidc.roles[0].role: "king" is none of`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, roles: [{value: \"\", role: viewer}]}}\nhistory: {raw", `web.oidc.roles[0]: value: a text`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, roles: [{value: x, role: viewer, areas: {south: admin}}]}}\nhistory: {raw", `web.oidc.roles[0].areas.south: there is no area "south"`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, client_secret_file: missing, roles: [{value: x, role: viewer}]}}\nhistory: {raw", `web.oidc.client_secret_file: `},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, client_secret: plain, roles: [{value: x, role: viewer}]}}\nhistory: {raw", `client_secret`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, ca_file: plant.yaml, roles: [{value: x, role: viewer}]}}\nhistory: {raw", `web.oidc.ca_file: there is no certificate in plant.yaml`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, session: 1s, roles: [{value: x, role: viewer}]}}\nhistory: {raw", `web.oidc.session: 1s is outside 5m0s .. 12h0m0s`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, redirects: [\"https://a.test/x\"], roles: [{value: x, role: viewer}]}}\nhistory: {raw", `web.oidc.redirects[0]: "https://a.test/x": scheme, host and port only`},
		{"history: {raw", "web: {oidc: {issuer: \"https://sso.test\", client_id: x, scopes: [\"a b\"], roles: [{value: x, role: viewer}]}}\nhistory: {raw", `web.oidc.scopes: at most 16 words`},
		{"history: {raw", "web: {pair_key_file: missing.key}\nhistory: {raw", `web.pair_key_file: `},
	} {
		text := base(t)
		if !strings.Contains(text, c.old) {
			t.Fatalf("the base file has no %q", c.old)
		}
		_, err := load(t, strings.Replace(text, c.old, c.new, 1), nil)
		if c.want == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q -> %q:\n got %v\nwant %s", c.old, c.new, err, c.want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "plant.yaml:") {
			t.Errorf("%q -> %q: no file and line in %q", c.old, c.new, err)
		}
	}
}

// TestVirtualAddressOfANode: a node that starts removes its virtual addresses, so they must not be its own.
func TestVirtualAddressOfANode(t *testing.T) {
	text := strings.Replace(base(t), "primary: a}", "primary: a, resources: [{name: x, type: virtual_ip, address: 10.0.0.10/24, interface: eth0}]}", 1)
	for old, c := range map[string]struct{ new, where string }{
		"field: 127.0.0.11}":      {"field: 10.0.0.10}", "nodes.a.field"},
		`{lan: "127.0.0.1:7402"}`: {`{lan: "10.0.0.10:7402"}`, "nodes.b.links.lan"},
	} {
		want := "areas[0].resources[0].address: 10.0.0.10 is an address of " + c.where + " itself"
		if _, err := load(t, strings.Replace(text, old, c.new, 1), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestResourcesAreRead(t *testing.T) {
	c, err := load(t, strings.Replace(base(t), "primary: a}", `primary: a, resources: [
    {name: data, type: command, critical: true, start: [/bin/mount, /data], stop: [/bin/umount, /data], monitor: [/bin/mountpoint, -q, /data], interval: 3s, limits: {start: 20s, stop: 2s}},
    {name: vip, type: virtual_ip, address: "10.0.0.10/24", interface: eth0}]}`, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Areas[0].Resources
	want := []config.Resource{
		{
			Name: "data", Type: "command", Critical: true, Interval: 3 * time.Second, Limits: resource.Limits{Start: 20 * time.Second, Stop: 2 * time.Second, Monitor: 2 * time.Second},
			Start: []string{"/bin/mount", "/data"}, Stop: []string{"/bin/umount", "/data"}, Monitor: []string{"/bin/mountpoint", "-q", "/data"},
		},
		{Name: "vip", Type: "virtual_ip", Interval: time.Second, Limits: resource.Limits{Start: time.Second, Stop: time.Second, Monitor: time.Second}, Address: "10.0.0.10/24", Interface: "eth0"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	text := strings.NewReplacer("type: uint16", "type: word", "primary: a", "primary: c", "driver: opcua", "driver: x").Replace(base(t))
	_, err := load(t, text, nil)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three errors expected, got %v", err)
	}
}

// TestAMissingTagFileIsOneError: not one more for each alarm on its tags.
func TestAMissingTagFileIsOneError(t *testing.T) {
	text := strings.Replace(base(t), "tag: line1/pump1/running, type", "tag: line1/pump9/running, type", 1) + "tag_files: [none/*.csv]\n"
	_, err := load(t, text, nil)
	if err == nil || !strings.Contains(err.Error(), "no file matches") || strings.Contains(err.Error(), "\n") {
		t.Errorf("one error expected, got %v", err)
	}
}

func TestTagFiles(t *testing.T) {
	text := base(t) + "tag_files: [\"*.csv\"]\n"
	head := "name,device,address,type,scan,range,scale,writable,history,states\n"
	c, err := load(t, text, map[string]string{"a.csv": "\xef\xbb\xbf" + head + "x/y,plc1,hr:7,uint16,fast,0..100,0..27648 -> 0..100,true,change,\n"})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := c.Lookup("x/y")
	if d := c.Tags[id]; d.Scale.RawHigh != 27648 || d.Range.High != 100 || d.History != tag.HistoryChange || !d.Writable {
		t.Errorf("%+v", d)
	}
	for row, want := range map[string]string{
		"x/y,plc1,hr:7,uint16,fast,0-100,,,,":                      `a.csv:2:27: range: "0-100" is not an interval (0..100)`,
		"x/y,plc1,hr:7,uint16,fast,,5,,,":                          `a.csv:2:28: scale: "5" is not a scaling (0..27648 -> 0..100)`,
		"x/y,plc1,hr:7,uint16,fast,,,maybe,,":                      `a.csv:2:29: writable: "maybe" is neither true nor false`,
		"x/y,plc9,hr:7,uint16,fast,,,,,":                           `a.csv:2:5: device: no device is named "plc9"`,
		"x/y,plc1,zz:7,uint16,fast,,,,,":                           `a.csv:2:10: address: modbus address "zz:7"`,
		"x/y,plc1,hr:7,uint16,fast,,,,":                            `a.csv:2:1: 9 cells, the header has 10`,
		"x/y,plc1,\"hr:7,uint16,fast,,,,":                          `a.csv:`,
		"x/y,plc1,hr:7,bool,fast,,,,,\nx/y,plc1,hr:8,uint16,,,,,,": `a.csv:3:1: name: tag "x/y" stands already at a.csv:2`,
	} {
		_, err := load(t, text, map[string]string{"a.csv": head + row + "\n"})
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), t.TempDir(), ""), want) {
			t.Errorf("%s:\n got %v\nwant %s", row, err, want)
		}
	}
	_, err = load(t, text, map[string]string{"a.csv": "name,devise\n"})
	if err == nil || !strings.Contains(err.Error(), `a.csv:1:6: unknown column "devise"`) {
		t.Errorf("got %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	b, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("a: &a [*a, *a]\nb: *a"))
	f.Add([]byte("a: " + strings.Repeat("[", 110)))
	f.Add([]byte(strings.Repeat("- ", 110)))
	f.Fuzz(func(t *testing.T, src []byte) {
		path := filepath.Join(t.TempDir(), "plant.yaml")
		if err := os.WriteFile(path, src, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v and error %v", c, err)
		}
	})
}

// TestHealthSettings: the defaults, and 0 as a value of its own: an area that health never moves, a device without weight.
func TestHealthSettings(t *testing.T) {
	c, err := load(t, base(t), nil)
	if err != nil || c.Redundancy.HealthMargin != role.DefaultHealthMargin || c.Devices[0].Weight != 10 {
		t.Errorf("margin %d, weight %d, %v", c.Redundancy.HealthMargin, c.Devices[0].Weight, err)
	}
	text := strings.Replace(base(t), "areas:", "redundancy: {health_margin: 0}\nareas:", 1)
	text = strings.Replace(text, "driver: modbus,", "driver: modbus, weight: 0,", 1)
	c, err = load(t, text, nil)
	if err != nil || c.Redundancy.HealthMargin != role.NoHealthSwitch || c.Devices[0].Weight != 0 {
		t.Fatalf("margin %d, weight %d, %v", c.Redundancy.HealthMargin, c.Devices[0].Weight, err)
	}
}
