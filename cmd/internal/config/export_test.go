package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"scada/cmd/internal/config"
)

const exportSettings = `history:
  raw: 30d
  hourly: 5y
  max_disk: 20GiB
  export:
    - {name: longterm, url: "https://vm.example:8428/api/v1/write", bearer_file: token, tags: ["line1/**"], labels: {site: north}, batch: 5000, horizon: 0s, headers: {X-Scope-OrgID: works}}
    - {name: second, url: "http://10.0.0.9/push", user: works, password_file: token, interval: 1s, timeout: 10s, horizon: 90s}
`

func withExport(t *testing.T, settings string) string {
	const history = "history: {raw: 30d, hourly: 5y, max_disk: 20GiB}\n"
	text := base(t)
	if !strings.Contains(text, history) {
		t.Fatal("the base has another history section")
	}
	return strings.Replace(text, history, settings, 1)
}

func TestExportIsRead(t *testing.T) {
	c, err := load(t, withExport(t, exportSettings), map[string]string{"token": "secret\n"})
	if err != nil {
		t.Fatal(err)
	}
	x := c.History.Export
	if len(x) != 2 || x[0].Bearer != "secret" || x[0].Horizon >= 0 || x[0].Labels["site"] != "north" || x[0].Tags[0] != "line1/**" || x[0].Batch != 5000 ||
		x[0].Headers["X-Scope-OrgID"] != "works" || x[1].Password != "secret" || x[1].Horizon != 90*time.Second || x[1].Timeout != 10*time.Second {
		t.Errorf("%+v", x)
	}
	other, err := load(t, withExport(t, strings.Replace(exportSettings, "batch: 5000", "batch: 6000", 1)), map[string]string{"token": "other"})
	if err != nil {
		t.Fatal(err)
	}
	d := config.Compare(c, other)
	d.Changes = slices.DeleteFunc(d.Changes, func(c config.Change) bool { return c.Section == "nodes" }) // the folders of the test
	if slices.Contains(d.Restart, "history") || len(d.Changes) != 2 || d.Changes[0].Detail != "batch 5000 -> 6000" || d.Changes[1].Name != "second" || d.Changes[1].Detail != "" {
		t.Errorf("%+v", d)
	}
	without, err := load(t, base(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := config.Compare(c, without); slices.Contains(d.Restart, "history") || len(d.Changes) != 3 {
		t.Errorf("%+v", d)
	}
}

func TestExportMistakes(t *testing.T) {
	for was, to := range map[string][2]string{
		"name: second":                      {"name: longterm", "target name"},
		"http://10.0.0.9/push":              {"ftp://10.0.0.9", "is not an address"},
		"http://10.0.0.9":                   {"http://me:secret@10.0.0.9", "password does not belong"},
		"batch: 5000":                       {"batch: 50001", "outside 1 .. 50000"},
		"horizon: 90s":                      {"horizon: 601s", "outside 0 .."},
		"interval: 1s":                      {"interval: 61s", "outside 1s .."},
		"timeout: 10s":                      {"timeout: 301s", "outside 1s .."},
		"site: north":                       {"tag: north", "is there already"},
		"X-Scope-OrgID: works":              {"Authorization: works", "no header"},
		`["line1/**"]`:                      {`[""]`, "1 to 512 bytes"},
		"bearer_file: token":                {"bearer_file: nowhere", "no such file"},
		"user: works, password_file: token": {"ca_file: token", "no certificate"},
		"user: works, ":                     {"user: works, bearer_file: token, ", "either bearer_file or user"},
	} {
		if !strings.Contains(exportSettings, was) {
			t.Fatalf("nothing to change: %s", was)
		}
		_, err := load(t, withExport(t, strings.Replace(exportSettings, was, to[0], 1)), map[string]string{"token": "secret\n"})
		if err == nil || !strings.Contains(err.Error(), to[1]) || !strings.Contains(err.Error(), "history.export[") {
			t.Errorf("%s: %v, want %s", to[0], err, to[1])
		}
	}
	many := "history:\n  export:\n" + strings.Repeat("    - {name: x, url: \"http://10.0.0.9\"}\n", 9)
	if _, err := load(t, withExport(t, many), nil); err == nil || !strings.Contains(err.Error(), "9 targets, the limit is 8") {
		t.Error(err)
	}
}
