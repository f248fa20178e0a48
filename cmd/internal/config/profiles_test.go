package config_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/acquisition/modbus"
	"scada/acquisition/tag"
	"scada/cmd/internal/config"
)

const pumps = `
profiles:
  pump:
    driver: modbus
    modbus: {timeout: 300ms, byte_order: CDAB, window: 4, never_gap: ["hr:7-9"], max_block: 60, write_multiple: true}
    tags:
      - {name: speed, address: "hr:0", type: uint16, scale: {raw: [0, 1000], eu: [0, 50], curve: sqrt, clamp: true}, unit: Hz}
      - {name: hours, address: "hr:1", type: bcd32}
      - {name: level, address: "hr:3", type: float16}
`

func withPumps(t *testing.T, profiles string) string {
	t.Helper()
	text := strings.Replace(base(t), "\ndevices:\n", `
devices:
  - {name: p1, profile: pump, modbus: {endpoints: ["tcp://127.0.0.1:5100"], unit: 1}}
  - {name: p2, profile: pump, modbus: {endpoints: ["tcp://127.0.0.1:5101"], unit: 1, timeout: 2s, window: auto}}
`, 1)
	if text == base(t) {
		t.Fatal("no devices to add to")
	}
	return text + profiles
}

// TestProfiles: two devices of a kind have its settings, but where they say otherwise, and its tags behind their names.
func TestProfiles(t *testing.T) {
	c, err := load(t, withPumps(t, pumps), nil)
	if err != nil {
		t.Fatal(err)
	}
	p1, p2 := c.Devices[0].Modbus, c.Devices[1].Modbus
	if p1.Timeout != 300*time.Millisecond || p2.Timeout != 2*time.Second || p2.ByteOrder != "CDAB" || p1.Window != 4 || p2.Window != modbus.WindowAuto || len(p1.Tags) != 3 || len(p2.Tags) != 3 {
		t.Errorf("%+v\n%+v", p1, p2)
	}
	if !slices.Equal(p2.NeverGap, []string{"hr:7-9"}) || p2.MaxBlock != 60 || !p2.WriteMultiple {
		t.Errorf("%+v", p2)
	}
	id, ok := c.Lookup("p2/speed")
	if d := c.Tags[id]; !ok || d.Device != "p2" || !d.Root || !d.Clamp || d.Type != tag.TypeFloat64 || d.RawType != tag.TypeUint16 {
		t.Errorf("%v %+v", ok, d)
	}
	id, _ = c.Lookup("p1/hours")
	if d := c.Tags[id]; d.Type != tag.TypeUint32 || d.Encoding != tag.BCD {
		t.Errorf("%+v", d)
	}
	id, _ = c.Lookup("p1/level")
	if d := c.Tags[id]; d.Type != tag.TypeFloat32 || d.Encoding != tag.Float16 {
		t.Errorf("%+v", d)
	}
}

func TestProfileErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"profiles:\n  pump:", "profiles:\n  pomp:", `devices[0].profile: no profile is named "pump" (known: pomp)`},
		{"name: speed,", "name: speed, device: plc1,", `profiles.pump.tags[0]: a tag of a profile has no device`},
		{"timeout: 300ms", `endpoints: ["tcp://127.0.0.1:5"]`, "profiles.pump: a profile has no endpoint"},
		{"window: 4", "window: -1", `window: "-1" is neither a number of requests nor auto`},
		{"window: 4", "window: 17", "window 17 is not between 1 and 16"},
		{"curve: sqrt", "curve: cubic", `profiles.pump.tags[0].scale: curve "cubic" is none of linear, sqrt`},
		{"type: bcd32", "type: bcd33", `unknown type "bcd33"`},
		{`"hr:3"`, `"hr:3.1"`, "is a bit"},
	} {
		_, err := load(t, withPumps(t, strings.Replace(pumps, c.old, c.new, 1)), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.new, err, c.want)
		} else if n := strings.Count(err.Error(), c.want); n != 1 && !strings.Contains(c.want, "bcd33") {
			t.Errorf("%s is told %d times:\n%v", c.want, n, err)
		}
	}
}

// TestTagFileErrors: every wrong row is told, with its cell, and nothing of the file is used.
func TestTagFileErrors(t *testing.T) {
	rows := "name,device,address,type,scale\n" +
		"x/a,plc1,hr:1,uint16,0..100 -> sqrt 0..10 clamp\n" +
		"x/b,plc1,hr:2\n" +
		"x/c,plc1,hr:3,uint61,\n" +
		"x/d,plc1,hr:70000,uint16,\n" +
		"\"x/e\",plc1,hr:5,uint16,0..100 -> 7\n" +
		"x/f,plc1,hr:6,string,0..100 -> 0..1\n"
	_, err := load(t, base(t)+"tag_files: [\"*.csv\"]\n", map[string]string{"a.csv": rows})
	if err == nil {
		t.Fatal("the file is used")
	}
	for _, want := range []string{
		"a.csv:3:1: 3 cells, the header has 5", `a.csv:4:15: type: unknown type "uint61"`, `a.csv:5:10: address: modbus address "hr:70000"`,
		"a.csv:6:24: scale: ", "a.csv:7:22: scale: a string cannot be scaled",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not told: %s", want)
		}
	}
	if strings.Contains(err.Error(), "a.csv:2:") {
		t.Error("the first row is right")
	}
	if t.Failed() {
		t.Log(err)
	}
	c, err := load(t, base(t)+"tag_files: [\"*.csv\"]\n", map[string]string{"a.csv": strings.Join(strings.SplitAfter(rows, "\n")[:2], "")})
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := c.Lookup("x/a"); !ok || !c.Tags[id].Root || !c.Tags[id].Clamp || c.Tags[id].Scale != (tag.Linear{RawHigh: 100, High: 10}) {
		t.Errorf("%+v", c.Tags[id])
	}
	for header, want := range map[string]string{"name,name\n": `a.csv:1:6: column "name" stands twice`, "name,devise\n": `unknown column "devise" (known: address, `} {
		if _, err := load(t, base(t)+"tag_files: [\"*.csv\"]\n", map[string]string{"a.csv": header}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", header, err)
		}
	}
}

// FuzzTagFile: whatever a tag file holds, it is read whole or refused with the place.
func FuzzTagFile(f *testing.F) {
	f.Add("name,device,address,type\nx/a,plc1,hr:1,uint16\n")
	f.Add("name,device,address,type,scale,range,states,deadband\nx/a,plc1,hr:1,bcd16,0..1 -> sqrt 0..2 clamp,0..1,a|b,1\n")
	f.Add("\xef\xbb\xbfname\n\"a\nb\"\n")
	plant, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rows string) {
		b := config.Bundle{{Name: "plant.yaml", Data: append(plant, "tag_files: [\"a.csv\"]\n"...)}, {Name: "a.csv", Data: []byte(rows)}}
		c, err := b.Load("plant.yaml")
		var errs config.Errors
		if err != nil && !errors.As(err, &errs) || err == nil && c == nil {
			t.Fatal(err)
		}
		for _, e := range errs {
			if e.Line < 1 || e.Col < 1 || e.Message == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}
