package config_test

import (
	"strings"
	"testing"

	"scada/acquisition/tag"
)

// withSystem returns the base file with the pair as a device and one more tag.
func withSystem(t *testing.T, row string) string {
	t.Helper()
	return strings.Replace(withTags(t, row), "devices:\n", "devices:\n  - {name: pair, driver: system}\n", 1)
}

// TestSystemTags: a tag of the system has the type of its fact unless it says the same itself.
func TestSystemTags(t *testing.T) {
	c, err := load(t, withSystem(t, `{name: system/reasons, device: pair, address: "pair:reasons"}`+"\n  - "+`{name: system/answers, device: pair, address: "device:plc1:answers", type: bool}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := c.Devices[0]
	if d.Driver != "system" || len(d.System) != 2 || len(d.Tags()) != 2 || d.System[0].Type != tag.TypeBool || d.System[1].Type != tag.TypeString {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsWrongWithASystemTag(t *testing.T) {
	for row, want := range map[string]string{
		`{name: x, device: pair, address: "pair:mood"}`:                  `tags[3].address: "pair:mood": of a pair it knows config_equal, history_equal, ready, reasons`,
		`{name: x, device: pair, address: "hr:1", type: int16}`:          `tags[3].address: "hr:1": an address begins with app, device, node, pair, path`,
		`{name: x, device: pair, address: "node:c:score"}`:               `tags[3].address: no node is named "c"`,
		`{name: x, device: pair, address: "path:moon:up"}`:               `tags[3].address: no path is named "moon"`,
		`{name: x, device: pair, address: "device:plc9:answers"}`:        `tags[3].address: no device is named "plc9"`,
		`{name: x, device: pair, address: "device:pair:answers"}`:        `tags[3].address: no device is named "pair"`,
		`{name: x, device: pair, address: "app:none:healthy"}`:           `tags[3].address: no app is named "none"`,
		`{name: x, device: pair, address: "pair:ready", type: int16}`:    `tags[3].type: pair:ready is a bool`,
		`{name: x, device: pair, address: "pair:ready", writable: true}`: `tags[3].writable: the system tells, it takes no values`,
		`{name: x, device: plc1, address: "pair:ready", type: bool}`:     `tags[3].address: `,
	} {
		_, err := load(t, withSystem(t, row), nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\n got %v\nwant %s", row, err, want)
		}
	}
	text := strings.Replace(base(t), "devices:\n", "devices:\n  - {name: pair, driver: system, modbus: {endpoints: [\"tcp://127.0.0.1:1\"]}}\n", 1)
	if _, err := load(t, text, nil); err == nil || !strings.Contains(err.Error(), "devices[0].modbus: the driver is system") {
		t.Errorf("a section it has no use for: %v", err)
	}
}
