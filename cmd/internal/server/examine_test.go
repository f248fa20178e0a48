package server

import (
	"errors"
	"strings"
	"testing"
	"time"

	"scada/web"
	"scada/web/api"
)

// TestDeviceTest: the active node examines a device, whichever node is asked, and goes on polling; from the standby itself
// there is no more than its probe setting permits.
func TestDeviceTest(t *testing.T) {
	by := web.Actor{User: "eng"}
	bubbleOf(t, bubblePlant, func(w *world) {
		w.ready()
		for _, node := range []string{"a", "b"} {
			v, err := backend{w.node[node]}.TestDevice(w.t.Context(), by, "plc", api.DeviceTestCommand{})
			if err != nil || v.Node != "a" || v.Role != "active" || v.BestWindow != 1 || len(v.Trials) == 0 || v.Trials[0].Timeouts > 0 || v.LargestRead != bankSize {
				w.t.Errorf("asked at %s: %+v, %v", node, v, err)
			}
		}
		w.within(time.Second, "a polls", w.counts("a"))
		_, err := backend{w.node["b"]}.TestDevice(w.t.Context(), by, "plc", api.DeviceTestCommand{Here: true})
		var p *api.Problem
		if !errors.As(err, &p) || p.Code != api.CodeNotActive || !strings.Contains(p.Detail, "node a is active") {
			w.t.Errorf("a standby without a probe: %v", err)
		}
		if _, err := (backend{w.node["b"]}).TestDevice(w.t.Context(), by, "none", api.DeviceTestCommand{}); !errors.As(err, &p) || p.Code != api.CodeNotFound {
			w.t.Errorf("no such device: %v", err)
		}
		if _, err := (backend{w.node["b"]}).DeviceNodes(w.t.Context(), by, "plc", api.DeviceBrowse{Limit: 10}); !errors.As(err, &p) || p.Code != api.CodeBadRequest {
			w.t.Errorf("browsing a Modbus device: %v", err)
		}
	})
	bubbleOf(t, probingPlant, func(w *world) {
		w.ready()
		look := func() api.DeviceTest {
			v, err := backend{w.node["b"]}.TestDevice(w.t.Context(), by, "plc", api.DeviceTestCommand{Here: true})
			if err != nil || v.Node != "b" || v.Role != "standby" || v.Reached == nil || len(v.Trials) > 0 {
				w.t.Fatalf("a standby with a probe: %+v, %v", v, err)
			}
			return v
		}
		if v := look(); !*v.Reached {
			w.t.Errorf("%+v", v)
		}
		w.net.Cut("b", "field", "")
		if v := look(); *v.Reached {
			w.t.Errorf("reached over a cut: %+v", v)
		}
		w.net.Heal("b", "field", "")
	})
}
