package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const diffPlant = `
project: diff
nodes:
  a: {links: {lan: "127.0.0.1:7401"}, http: "127.0.0.1:8081", data: a}
  b: {links: {lan: "127.0.0.1:7402"}, http: "127.0.0.1:8082", data: b}
devices:
  - {name: one, driver: modbus, modbus: {endpoints: ["tcp://127.0.0.1:5020"], unit: 1}}
  - {name: two, driver: modbus, modbus: {endpoints: ["tcp://127.0.0.1:5020"], unit: 2}}
  - {name: far, driver: modbus, modbus: {endpoints: ["tcp://127.0.0.1:5021"], unit: 1}}
scan_classes: {fast: 100ms}
tags:
  - {name: m/one, device: one, address: "hr:0", type: uint16, scan: fast}
  - {name: m/two, device: two, address: "hr:0", type: uint16, scan: fast}
  - {name: m/far, device: far, address: "hr:0", type: uint16, scan: fast}
alarms:
  list:
    - {id: high, tag: m/far, type: level, limits: {Hi: 80}, priority: 2}
`

func text(t *testing.T, plant string) *Config {
	t.Helper()
	c, err := Bundle{{Name: "plant.yaml", Data: []byte(plant)}}.Load("/plant/plant.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompare(t *testing.T) {
	from := text(t, diffPlant)
	for _, c := range []struct{ name, old, new, want string }{
		{"nothing but a comment", "project: diff", "# words\nproject: diff", "[] [] []"},
		{"a tag more, before all others", "tags:\n", "tags:\n  - {name: a/new, device: far, address: \"hr:7\", type: uint16}\n",
			"[tags a/new added ] [far] []"},
		{"a tag of a shared gateway", `{name: m/two, device: two, address: "hr:0"`, `{name: m/two, device: two, address: "hr:1"`,
			"[tags m/two changed address hr:0 -> hr:1] [one two] []"},
		{"a device setting", `5021"], unit: 1`, `5021"], unit: 9`, "[devices far changed modbus.unit 1 -> 9] [far] []"},
		{"a weight is no reason to reconnect", "{name: far, driver", "{name: far, weight: 3, driver", "[devices far changed weight 10 -> 3] [] []"},
		{"a limit", "Hi: 80", "Hi: 90", "[alarms high changed limits map[Hi:{80 }] -> map[Hi:{90 }]] [] []"},
		{"an alarm less", "    - {id: high, tag: m/far, type: level, limits: {Hi: 80}, priority: 2}\n", "    []\n", "[alarms high removed ] [] []"},
		{"the scan class of all", "fast: 100ms", "fast: 200ms", "m/one changed scanperiod 100ms -> 200ms"},
		{"history", "project: diff", "project: diff\nhistory: {raw: 40d}", "[history  changed raw 720h0m0s -> 960h0m0s] [] []"},
		{"a heartbeat", "project: diff", "project: diff\nredundancy: {heartbeat: 200ms}", "[redundancy  changed ] [] [redundancy]"},
		{"a user", "project: diff", "project: diff\ntokens: [{name: script, role: viewer, hash: 0123456789012345678901234567890123456789012345678901234567890123}]", "[tokens script added ] [] []"},
		{"a listener", "127.0.0.1:8082", "127.0.0.1:8083", "[nodes  changed ] [] [nodes]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(diffPlant, c.old, c.new, 1)
			if changed == diffPlant {
				t.Fatal("the plant did not change")
			}
			d := Compare(from, text(t, changed))
			var list []string
			for _, x := range d.Changes {
				list = append(list, fmt.Sprintf("%s %s %s %s", x.Section, x.Name, x.Kind, x.Detail))
			}
			if got := fmt.Sprint(list, d.Reconnects, d.Restart); !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestBundleIsTheFile: a bundle that was read, packed and unpacked says what the folder said, and nothing outside it.
func TestBundleIsTheFile(t *testing.T) {
	b := Bundle{{Name: "plant.yaml", Data: []byte(strings.Replace(diffPlant, "tags:\n", "tag_files: [tags/*.csv]\ntags:\n", 1))},
		{Name: "tags/more.csv", Data: []byte("name,device,address,type\nx/1,far,hr:5,uint16\n")}, {Name: "other/x.csv", Data: []byte("junk")}}
	packed, err := b.Pack()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Unpack(packed)
	if err != nil || back.Hash() != b.Hash() {
		t.Fatalf("%v, %s and %s", err, back.Hash(), b.Hash())
	}
	c, err := back.Load("/plant/plant.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Lookup("x/1"); !ok || len(c.Tags) != 4 {
		t.Errorf("%d tags", len(c.Tags))
	}
	back[1].Data = []byte("name,device,address,type\nx/1,nobody,hr:5,uint16\n")
	if _, err := back.Load("/plant/plant.yaml"); err == nil || !strings.HasPrefix(err.Error(), "/plant/tags/more.csv:2:5: device: ") {
		t.Errorf("an error in a tag file of a bundle is %v", err)
	}
	if _, err := Unpack(packed[:len(packed)/2]); err == nil {
		t.Error("half a bundle was unpacked")
	}
	if _, err := Unpack(make([]byte, MaxPacked+1)); err == nil {
		t.Error("a bundle over the limit was unpacked")
	}
	if _, err := Unpack(slices.Concat(packed[:1], packed)); err == nil {
		t.Error("no bundle was unpacked")
	}
}

func FuzzUnpack(f *testing.F) {
	packed, _ := Bundle{{Name: "plant.yaml", Data: []byte(diffPlant)}}.Pack()
	f.Add(packed)
	f.Fuzz(func(_ *testing.T, b []byte) {
		if got, err := Unpack(b); err == nil {
			_, _ = got.Load("/plant/plant.yaml")
		}
	})
}
