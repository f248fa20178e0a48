package web

import (
	"context"
	"errors"
	"io"
	"testing"

	"scada/web/api"
)

// machine is a node that looks at nothing.
type machine struct {
	level api.LogLevelCommand
	fault error
}

func (m *machine) Checks(context.Context) api.Checks {
	return api.Checks{Node: "a", State: api.CheckWarn, Checks: []api.Check{{Name: "disk_free", State: api.CheckWarn}}}
}
func (m *machine) LogLevel() api.LogLevel { return api.LogLevel{Node: "a", Level: "info"} }
func (m *machine) SetLogLevel(_ Actor, cmd api.LogLevelCommand) (api.LogLevel, error) {
	m.level = cmd
	return api.LogLevel{Level: cmd.Level}, nil
}
func (m *machine) Bundle(_ context.Context, w io.Writer) error {
	if m.fault != nil {
		return m.fault
	}
	_, err := io.WriteString(w, "the files")
	return err
}

func TestDiagnosisRoutes(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		if a := r.do("GET", "/api/v1/node/checks", "", bearer("tok-viewer")...); a.status != 404 {
			t.Errorf("a server without a machine answers %d", a.status)
		}
		m := &machine{}
		r.s.cfg.Diagnosis = m
		for _, c := range []struct {
			method, path, body, token string
			status                    int
		}{
			{"GET", "/node/checks", "", "tok-viewer", 200}, {"GET", "/node/checks", "", "nobody", 401},
			{"GET", "/node/log-level", "", "tok-viewer", 200},
			{"POST", "/node/log-level", `{"level":"debug"}`, "tok-engineer", 403},
			{"POST", "/node/log-level", `{"level":"debug","for_s":86400}`, "tok-admin", 200},
			{"POST", "/node/log-level", `{"level":"debug","for_s":86401}`, "tok-admin", 400},
			{"POST", "/node/log-level", `{"level":"debug","for_s":-1}`, "tok-admin", 400},
			{"GET", "/node/bundle", "", "tok-engineer", 403}, {"GET", "/node/bundle", "", "tok-admin", 200},
		} {
			var headers []string
			if c.token != "nobody" {
				headers = bearer(c.token)
			}
			if a := r.do(c.method, "/api/v1"+c.path, c.body, headers...); a.status != c.status {
				t.Errorf("%s %s %s as %s: %d %s, want %d", c.method, c.path, c.body, c.token, a.status, a.body, c.status)
			}
		}
		if m.level.ForS != maxLogFor {
			t.Errorf("the level was changed with %+v", m.level)
		}
		r.s.looking.Lock()
		if a := r.do("GET", "/api/v1/node/checks", "", bearer("tok-viewer")...); a.status != 429 {
			t.Errorf("a second look at the same time: %d", a.status)
		}
		r.s.looking.Unlock()
		m.fault = errors.New("the disk")
		if a := r.do("GET", "/api/v1/node/bundle", "", bearer("tok-admin")...); a.status != 500 || a.header.Get("Content-Disposition") != "" {
			t.Errorf("a bundle that fails before it begins: %d %v", a.status, a.header)
		}
	})
}
