package modbus

import (
	"strings"
	"testing"

	"scada/acquisition/tag"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{in: "hr:100", want: "hr:100"},
		{in: "co:0", want: "co:0"},
		{in: "di:65535", want: "di:65535"},
		{in: "ir:7", want: "ir:7"},
		{in: "hr:100.3", want: "hr:100.3"},
		{in: "hr:100.15", want: "hr:100.15"},
		{in: "ir:100[8]", want: "ir:100[8]"},
		{in: "hr:65413[123]", want: "hr:65413[123]"},
		{in: "40101", want: "hr:100"},
		{in: "400101", want: "hr:100"},
		{in: "465536", want: "hr:65535"},
		{in: "49999", want: "hr:9998"},
		{in: "00001", want: "co:0"},
		{in: "10001", want: "di:0"},
		{in: "30001", want: "ir:0"},
		{in: "40101.3", want: "hr:100.3"},
		{in: "40101[2]", want: "hr:100[2]"},

		{in: "", err: "empty"},
		{in: "hr:", err: `"" is not a number from 0 to 65535`},
		{in: "hr:65536", err: `"65536" is not a number from 0 to 65535`},
		{in: "hr:-1", err: `"-1" is not a number`},
		{in: "hr:+1", err: `"+1" is not a number`},
		{in: "hr: 1", err: `" 1" is not a number`},
		{in: "hr:1e3", err: `"1e3" is not a number`},
		{in: "HR:1", err: `area "HR" is not one of co, di, ir, hr`},
		{in: "xx:1", err: `area "xx" is not one of`},
		{in: "hr:1.16", err: `bit "16" is not a number from 0 to 15`},
		{in: "hr:1.", err: `bit "" is not a number`},
		{in: "hr:1.x", err: `bit "x" is not a number`},
		{in: "co:1.2", err: "co holds bits already, it has no .2"},
		{in: "di:1[2]", err: "a length is for text"},
		{in: "hr:1[0]", err: `length "0" is not a number of registers from 1 to 123`},
		{in: "hr:1[124]", err: `length "124" is not`},
		{in: "hr:1[", err: "does not end with ]"},
		{in: "hr:1[2]x", err: "does not end with ]"},
		{in: "hr:65535[2]", err: "2 registers from 65535 end after 65535"},
		{in: "hr:1.2[3]", err: "a bit has no length"},
		{in: "4001", err: "neither"},
		{in: "4000101", err: "neither"},
		{in: "40000", err: "counts from 1"},
		{in: "465537", err: "counts from 1"},
		{in: "20001", err: "first digit 2 is not an area"},
		{in: "pump", err: "neither"},
		{in: strings.Repeat("1", 33), err: "longer than 32 characters"},
	} {
		a, err := ParseAddress(c.in)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v %v, want an error with %q", c.in, a, err, c.err)
			}
		case err != nil || a.String() != c.want:
			t.Errorf("%q: %v %v, want %s", c.in, a, err, c.want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"hr:100", "hr:1.3", "ir:5[8]", "40101", "465536", "co:0", "hr:65535[1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Fatalf("%q is %v, which reads back as %v, %v", s, a, again, err)
		}
	})
}

func TestValidateTag(t *testing.T) {
	for _, c := range []struct {
		name string
		def  tag.Definition
		err  string
	}{
		{"word", tag.Definition{Address: "hr:1", Type: tag.TypeUint16}, ""},
		{"scaled", tag.Definition{Address: "hr:1", Type: tag.TypeFloat64, RawType: tag.TypeInt16, Scale: tag.Linear{RawHigh: 10, High: 1}}, ""},
		{"last double", tag.Definition{Address: "hr:65532", Type: tag.TypeFloat64}, ""},
		{"one too far", tag.Definition{Address: "hr:65533", Type: tag.TypeFloat64}, "takes 4 registers, the last is 65535"},
		{"coil", tag.Definition{Address: "co:1", Type: tag.TypeBool, Writable: true}, ""},
		{"coil as a number", tag.Definition{Address: "co:1", Type: tag.TypeInt16}, "its type is bool, not int16"},
		{"bit as a number", tag.Definition{Address: "hr:1.2", Type: tag.TypeInt16}, "its type is bool"},
		{"string without length", tag.Definition{Address: "hr:1", Type: tag.TypeString}, "needs its length in registers"},
		{"length without string", tag.Definition{Address: "hr:1[2]", Type: tag.TypeInt16}, "a length is for strings"},
		{"string from a number", tag.Definition{Address: "hr:1", Type: tag.TypeString, RawType: tag.TypeInt16}, "cannot become a string"},
		{"scaled bool", tag.Definition{Address: "hr:1", Type: tag.TypeBool, Scale: tag.Linear{RawHigh: 1, High: 1}}, "cannot be scaled"},
		{"empty scale", tag.Definition{Address: "hr:1", Type: tag.TypeFloat64, Scale: tag.Linear{High: 1}}, "empty interval"},
		{"byte order", tag.Definition{Address: "hr:1", Type: tag.TypeInt32, ByteOrder: "ACBD"}, `byte order "ACBD" is not one of ABCD, CDAB, BADC, DCBA`},
		{"writable input", tag.Definition{Address: "ir:1", Type: tag.TypeInt32, Writable: true}, "only co and hr can"},
		{"no type", tag.Definition{Address: "hr:1"}, "is not a type of a tag"},
		{"address", tag.Definition{Address: "hr:x", Type: tag.TypeInt32}, `modbus address "hr:x"`},
	} {
		err := ValidateTag(c.def)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

func TestDeviceValidate(t *testing.T) {
	good := Device{Name: "plc", Endpoints: []string{"tcp://10.0.0.1:502"}, Unit: 1}
	for _, c := range []struct {
		name   string
		change func(*Device)
		err    string
	}{
		{"defaults", func(d *Device) {}, ""},
		{"serial", func(d *Device) { d.Endpoints = []string{"rtu:///dev/ttyUSB0?baud=9600&parity=N&stop=2"} }, ""},
		{"no endpoint", func(d *Device) { d.Endpoints = nil }, "no endpoint"},
		{"no port", func(d *Device) { d.Endpoints = []string{"tcp://plc"} }, "want tcp://host:port"},
		{"port 0", func(d *Device) { d.Endpoints = []string{"tcp://plc:0"} }, "want tcp://host:port"},
		{"path", func(d *Device) { d.Endpoints = []string{"tcp://plc:502/x"} }, "want tcp://host:port"},
		{"scheme", func(d *Device) { d.Endpoints = []string{"udp://plc:502"} }, "want tcp://host:port, rtuovertcp"},
		{"long", func(d *Device) { d.Endpoints = []string{"tcp://" + strings.Repeat("a", 250) + ":502"} }, "the limit is 256"},
		{"mixed", func(d *Device) { d.Endpoints = []string{"tcp://plc:502", "rtuovertcp://plc:4001"} }, "different kinds"},
		{"baud", func(d *Device) { d.Endpoints = []string{"rtu:///dev/ttyS0?baud=1000"} }, `baud "1000" is not one of`},
		{"parity", func(d *Device) { d.Endpoints = []string{"rtu:///dev/ttyS0?parity=X"} }, `parity "X"`},
		{"stop", func(d *Device) { d.Endpoints = []string{"rtu:///dev/ttyS0?stop=3"} }, `stop "3"`},
		{"setting", func(d *Device) { d.Endpoints = []string{"rtu:///dev/ttyS0?speed=3"} }, `unknown setting "speed"`},
		{"no tty", func(d *Device) { d.Endpoints = []string{"rtu://dev"} }, "path of the serial device"},
		{"timeout short", func(d *Device) { d.Timeout = 9e6 }, "timeout 9ms is not between 10ms and 1m0s"},
		{"timeout long", func(d *Device) { d.Timeout = 61e9 }, "timeout 1m1s"},
		{"retries", func(d *Device) { d.Retries = 6 }, "retries 6 is not between 0 and 5"},
		{"window", func(d *Device) { d.Window = 17 }, "window 17 is not between 1 and 16"},
		{"window on a line", func(d *Device) { d.Window, d.Endpoints = 2, []string{"rtuovertcp://plc:4001"} }, "only Modbus TCP"},
		{"gap", func(d *Device) { d.MaxGap = 126 }, "max_gap 126"},
		{"never a gap", func(d *Device) { d.NeverGap = []string{"hr:500-519", "ir:3", "co:0-65535"} }, ""},
		{"never a gap, backwards", func(d *Device) { d.NeverGap = []string{"hr:500-499"} }, "never_gap: hr:500-499 does not end at a number from 500 to 65535"},
		{"never a gap, beyond", func(d *Device) { d.NeverGap = []string{"hr:500-65536"} }, "never_gap: hr:500-65536 does not end"},
		{"never a gap, no number", func(d *Device) { d.NeverGap = []string{"hr:500-x"} }, "never_gap: hr:500-x does not end"},
		{"never a gap, bit", func(d *Device) { d.NeverGap = []string{"hr:500.1"} }, "never_gap: hr:500.1 is no register"},
		{"never a gap, from 1", func(d *Device) { d.NeverGap = []string{"40101-40120"} }, "never_gap: 40101 is no register"},
		{"never a gap, nonsense", func(d *Device) { d.NeverGap = []string{"500"} }, `never_gap: modbus address "500"`},
		{"never a gap, too many", func(d *Device) { d.NeverGap = make([]string, 257) }, "257 stretches, the limit is 256"},
		{"block", func(d *Device) { d.MaxBlock = 126 }, "max_block 126"},
		{"probe", func(d *Device) { d.Probe = "ping" }, `probe "ping" is not one of none, tcp, read`},
		{"order", func(d *Device) { d.ByteOrder = "AB" }, `byte order "AB"`},
		{"unit on a line", func(d *Device) { d.Unit, d.Endpoints = 0, []string{"rtuovertcp://plc:4001"} }, "units are 1 to 247"},
	} {
		d := good
		c.change(&d)
		err := d.Validate()
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

func TestNew(t *testing.T) {
	device := func(name string, unit byte, endpoints ...string) Device {
		return Device{Name: name, Endpoints: endpoints, Unit: unit}
	}
	sources, err := New([]Device{device("a", 1, "tcp://x:1"), device("b", 1, "tcp://y:1"), device("c", 2, "tcp://x:1")}, Options{})
	if err != nil || len(sources) != 2 || strings.Join(sources[0].Devices(), " ") != "a c" {
		t.Errorf("%d sources, %v", len(sources), err)
	}
	for want, devices := range map[string][]Device{
		`unit 1 on tcp://x:1 is "a" already`: {device("a", 1, "tcp://x:1"), device("b", 1, "tcp://x:1")},
		`whose other endpoints differ`:       {device("a", 1, "tcp://x:1"), device("b", 2, "tcp://x:1", "tcp://y:1")},
	} {
		if _, err := New(devices, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	short := device("a", 1, "tcp://x:1")
	short.Tags = []tag.Definition{{Name: "t", Address: "hr:1", Type: tag.TypeInt16, ScanPeriod: 9e6}}
	if _, err := New([]Device{short}, Options{}); err == nil || !strings.Contains(err.Error(), "below 10ms") {
		t.Errorf("scan period of 9 ms: %v", err)
	}
}
