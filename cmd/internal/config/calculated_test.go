package config_test

import (
	"strings"
	"testing"

	"scada/acquisition/tag"
)

func withTags(t *testing.T, rows ...string) string {
	t.Helper()
	return strings.Replace(base(t), "alarms:\n", "  - "+strings.Join(rows, "\n  - ")+"\nalarms:\n", 1)
}

func TestCalculatedTags(t *testing.T) {
	text := withTags(t, `{name: line1/load, expr: "tag('line1/pump1/speed') / 30 * tag('half')", unit: "%", scan: fast}`, `{name: half, expr: "0.5", type: float32}`)
	c, err := load(t, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := c.Devices[len(c.Devices)-1]
	if d.Name != "calculated" || d.Area != "main" || d.Driver != "expression" || len(d.Calculated) != 2 {
		t.Fatalf("device %+v", d)
	}
	id, _ := c.Lookup("line1/load")
	if x := c.Tags[id]; x.Type != tag.TypeFloat64 || x.Area != "main" || x.Device != "calculated" || x.Address != "tag('line1/pump1/speed') / 30 * tag('half')" {
		t.Errorf("%+v", x)
	}
	if d.Calculated[1].ID != id || d.Calculated[0].Type != tag.TypeFloat32 {
		t.Errorf("%+v", d.Calculated)
	}
	plain, err := load(t, base(t), nil)
	if err != nil || plain.Digest == c.Digest || len(plain.Devices) != 2 {
		t.Errorf("without: %v, %d devices", err, len(plain.Devices))
	}
}

func TestCalculatedTagsOfTwoAreas(t *testing.T) {
	text := strings.Replace(withTags(t, `{name: x, expr: "tag('line1/pump1/speed')", area: east}`), "areas:\n", "areas:\n  - {name: east, primary: b}\n", 1)
	text = strings.ReplaceAll(text, "driver: ", "area: main, driver: ")
	c, err := load(t, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := c.Devices[len(c.Devices)-1]; d.Name != "calculated-east" || d.Area != "east" {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsWrongWithACalculatedTag(t *testing.T) {
	for row, want := range map[string]string{
		`{name: x, expr: "tag('a"}`:                                              `plant.yaml:15:15: tags[3].expr: x:1:5: unexpected EOF in string`,
		`{name: x, expr: "tag('none')"}`:                                         `plant.yaml:15:15: tags[3].expr: no tag is named "none"`,
		`{name: x, expr: "tag('x')"}`:                                            `plant.yaml:15:15: tags[3].expr: it depends on itself: x reads x`,
		`{name: x, expr: "1", device: plc1}`:                                     `tags[3].device: a calculated tag has none`,
		`{name: x, expr: "1", address: "hr:1"}`:                                  `tags[3].address: a calculated tag has none`,
		`{name: x, expr: "1", writable: true}`:                                   `tags[3].writable: a calculated tag has none`,
		`{name: x, expr: "1", deadband: 1}`:                                      `tags[3].deadband: a calculated tag has none`,
		`{name: x, expr: "1", scale: {raw: [0, 1], eu: [0, 2]}}`:                 `tags[3].scale: a calculated tag has none`,
		`{name: x, expr: "1", area: north}`:                                      `tags[3].area: no area is named "north"`,
		`{name: x, expr: "1", type: word}`:                                       `tags[3].type: `,
		`{name: x, device: plc1, address: "hr:1", type: int16, area: main}`:      `tags[3].area: only a calculated tag has an area of its own`,
		`{name: x, expr: "` + strings.Repeat("1+", 2100) + `1"}`:                 `the limit is 4096`,
		`{name: x, expr: "tag('y')"}` + "\n  - " + `{name: y, expr: "tag('x')"}`: `it depends on itself: x reads y reads x`,
	} {
		_, err := load(t, withTags(t, row), nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\n got %v\nwant %s", row, err, want)
		}
	}
	if _, err := load(t, strings.ReplaceAll(base(t), "plc1", "calculated"), nil); err == nil || !strings.Contains(err.Error(), "those of the calculated tags") {
		t.Errorf("a device with the name of the calculated tags: %v", err)
	}
	head := "tag_files: [\"*.csv\"]\n"
	if _, err := load(t, base(t)+head, map[string]string{"a.csv": "name,expr\nx,tag('none')\n"}); err == nil || !strings.Contains(err.Error(), `a.csv:2:3: expr: no tag is named "none"`) {
		t.Errorf("from a table: %v", err)
	}
}
