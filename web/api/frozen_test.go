package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestAFrozenServerIsPassedOver: the kernel of a stopped process still accepts connections. Neither a question nor a
// command may wait for it while the other server answers.
func TestAFrozenServerIsPassedOver(t *testing.T) {
	frozen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	asked := 0
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health/live" {
			asked++
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"result":"done"}`))
	}))
	defer live.Close()
	for _, command := range []bool{false, true} {
		c, err := NewClient([]string{"http://" + frozen.Addr().String(), live.URL}, "t", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*frozenAfter)
		began := time.Now()
		if command {
			_, err = c.RoleCommand(ctx, RoleCommand{Verb: VerbSwitch})
		} else {
			_, err = c.Role(ctx)
		}
		cancel()
		if took := time.Since(began); err != nil || took > 3*frozenAfter {
			t.Errorf("command %v: %v after %s", command, err, took)
		}
	}
	if asked != 2 {
		t.Errorf("the living server was asked %d times", asked)
	}
}
