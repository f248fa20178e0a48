package web

import (
	"net/http"
	"strings"
	"testing"
)

// TestDeviceQuestions: who may ask a device, and what is refused before anybody does.
func TestDeviceQuestions(t *testing.T) {
	bubble(t, newFake("a", float("a/x")), func(r *rig) {
		for _, c := range []struct {
			method, path, body, token string
			status                    int
			want                      string
		}{
			{"POST", "/api/v1/devices/plc1/test", "", "tok-engineer", http.StatusOK, `"best_window":4`},
			{"POST", "/api/v1/devices/plc1/test", `{"here":true}`, "tok-engineer", http.StatusConflict, "node b is active"},
			{"POST", "/api/v1/devices/plc1/test", `{"hear":true}`, "tok-engineer", http.StatusBadRequest, "hear"},
			{"POST", "/api/v1/devices/none/test", "", "tok-engineer", http.StatusNotFound, "none"},
			{"POST", "/api/v1/devices/plc1/test", "", "tok-operator", http.StatusForbidden, ""},
			{"GET", "/api/v1/devices/plc1/nodes?node=ns%3D2%3Bi%3D7&cursor=5&limit=9", "", "tok-engineer", http.StatusOK, `"address":"ns=2;i=75"`},
			{"GET", "/api/v1/devices/plc1/nodes?cursor=x", "", "tok-engineer", http.StatusBadRequest, "cursor"},
			{"GET", "/api/v1/devices/plc1/nodes?cursor=100001", "", "tok-engineer", http.StatusBadRequest, "cursor"},
			{"GET", "/api/v1/devices/plc1/nodes?limit=10001", "", "tok-engineer", http.StatusBadRequest, "limit"},
			{"GET", "/api/v1/devices/plc1/nodes?node=" + strings.Repeat("x", maxNodeID+1), "", "tok-engineer", http.StatusBadRequest, "bytes"},
			{"GET", "/api/v1/devices/plc1/nodes", "", "tok-viewer", http.StatusForbidden, ""},
		} {
			a := r.do(c.method, c.path, c.body, bearer(c.token)...)
			if a.status != c.status || !strings.Contains(a.body, c.want) {
				r.t.Errorf("%s %.60s %s as %s: %d %.200s", c.method, c.path, c.body, c.token, a.status, a.body)
			}
		}
	})
}
