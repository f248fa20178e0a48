package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"scada/redundancy/witness"
)

// withWitnesses is the base file with a list of witnesses.
func withWitnesses(t *testing.T, list string) string {
	t.Helper()
	return strings.Replace(base(t), "areas:\n", "redundancy:\n  witnesses:\n"+list+"areas:\n", 1)
}

func TestWitnesses(t *testing.T) {
	c, err := load(t, withWitnesses(t, `    - tcp: {targets: ["10.0.0.1:80"], timeout: 300ms}
    - file: {folder: /mnt/pair, interval: 500ms}
    - modbus: {endpoint: "tcp://10.0.0.5:502", unit: 1, register: 4000, separate: true}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := witness.Config{
		TCP:    []witness.TCP{{Targets: []string{"10.0.0.1:80"}, Timeout: 300 * time.Millisecond}},
		Files:  []witness.File{{Folder: "/mnt/pair", Interval: 500 * time.Millisecond}},
		Modbus: []witness.Modbus{{Area: "main", Endpoint: "tcp://10.0.0.5:502", Unit: 1, Register: 4000, Separate: true}},
	}
	if got := c.Redundancy.Witnesses; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	plain, err := load(t, base(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if plain.Digest == c.Digest || !plain.Redundancy.Witnesses.Empty() {
		t.Error("two configurations with other witnesses have the same digest")
	}
}

func TestEveryMessageAboutWitnesses(t *testing.T) {
	const device = `endpoint: "tcp://10.0.0.5:502"`
	for _, c := range []struct{ list, want string }{
		{"    - {}\n", `plant.yaml:7:7: redundancy.witnesses[0]: exactly one of tcp, file, modbus is required`},
		{"    - {tcp: {targets: [\"x:1\"]}, file: {folder: /x}}\n", `plant.yaml:7:7: redundancy.witnesses[0]: exactly one of tcp, file, modbus is required`},
		{"    - ping: {}\n", `plant.yaml:7:7: redundancy.witnesses[0].ping: unknown field`},
		{"    - tcp: {targets: []}\n", `plant.yaml:7:13: redundancy.witnesses[0].tcp.targets: 0 targets, 1 to 16 are required`},
		{"    - tcp: {targets: [\"x\"]}\n", `plant.yaml:7:13: redundancy.witnesses[0].tcp.targets: "x" is not host:port`},
		{"    - tcp: {targets: [\"x:1\"], timeout: 1h}\n", `redundancy.witnesses[0].tcp.timeout: 1h0m0s is outside`},
		{"    - file: {folder: pair}\n", `plant.yaml:7:14: redundancy.witnesses[0].file.folder: "pair" is not an absolute path`},
		{"    - file: {folder: /x, interval: 1ms}\n", `redundancy.witnesses[0].file.interval: 1ms is outside 20ms .. 10s`},
		{"    - file: {folder: /x}\n    - file: {folder: /x}\n", `plant.yaml:8:14: redundancy.witnesses[1].file.folder: /x has its lease already at redundancy.witnesses[0].file.folder`},
		{"    - modbus: {" + device + "}\n", `plant.yaml:7:7: redundancy.witnesses[0].modbus: register: the first of 18 registers`},
		{"    - modbus: {area: x, " + device + ", register: 1}\n", `plant.yaml:7:16: redundancy.witnesses[0].modbus.area: no area is named "x"`},
		{"    - modbus: {endpoint: \"udp://x:1\", register: 1}\n", `redundancy.witnesses[0].modbus.endpoint: "udp://x:1" is not tcp://host:port`},
		{"    - modbus: {" + device + ", unit: 256, register: 1}\n", `redundancy.witnesses[0].modbus.unit: 256 is outside 0 .. 255`},
		{"    - modbus: {" + device + ", register: 65519}\n", `redundancy.witnesses[0].modbus.register: 65519: 18 registers from 0 to 65535 are required`},
		{"    - modbus: {" + device + ", register: 1}\n    - modbus: {" + device + ", register: 18}\n", `redundancy.witnesses[1].modbus.register: registers 18 to 35 overlap those of area main`},
		{"    - modbus: {" + device + ", register: 1}\n    - modbus: {" + device + ", register: 19}\n", `redundancy.witnesses[1].modbus.area: area main has its lease already at redundancy.witnesses[0].modbus.area`},
		{strings.Repeat("    - tcp: {targets: [\"x:1\"]}\n", witness.MaxWitnesses+1), `redundancy.witnesses: 65 witnesses, the limit is 64`},
	} {
		_, err := load(t, withWitnesses(t, c.list), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s got %v\nwant %s", c.list, err, c.want)
		}
	}
}
