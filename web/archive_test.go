package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

// keeper is an archive that notes what it is asked.
type keeper struct {
	imported, repaired int
	fault              error
	begun, let         chan struct{}
}

func (k *keeper) Import(_ context.Context, _ Actor, req api.ImportRequest) (api.ImportResult, error) {
	k.imported += len(req.Samples)
	return api.ImportResult{Samples: len(req.Samples), Added: len(req.Samples)}, k.fault
}

func (k *keeper) Verify(_ context.Context, from, _ time.Time, visit func(api.VerifiedDay) error) error {
	if err := visit(api.VerifiedDay{Day: from.Format(time.DateOnly)}); err != nil {
		return err
	}
	k.begun <- struct{}{}
	<-k.let
	return k.fault
}

func (k *keeper) Repair(context.Context, Actor, api.RepairRequest) (api.RepairResult, error) {
	k.repaired++
	return api.RepairResult{}, k.fault
}

func TestImportIsBounded(t *testing.T) {
	bubble(t, newFake("a", float("a/x")), func(r *rig) {
		const path = "/api/v1/history/import"
		if a := r.do("POST", path, "{}", bearer("tok-engineer")...); a.status != 404 {
			t.Errorf("a server without an archive answers %d", a.status)
		}
		k := &keeper{}
		r.s.cfg.Archive = k
		body := func(n, pad int) string {
			row := fmt.Sprintf(`{"name":"a/x","time":"2026-11-22T12:00:00Z","value":1%s}`, strings.Repeat(" ", pad))
			return `{"samples":[` + strings.TrimSuffix(strings.Repeat(row+",", n), ",") + `]}`
		}
		for _, x := range []struct {
			body   string
			status int
		}{
			{body(1, 0), 200}, {body(api.MaxImport, 0), 200}, {body(api.MaxImport+1, 0), 400}, {`{"samples":[]}`, 400},
			{`{"samples":[{"tag":"a/x"}]}`, 400}, {body(4, maxImportBody/4), 413},
		} {
			if a := r.do("POST", path, x.body, bearer("tok-engineer")...); a.status != x.status {
				t.Errorf("%.60s… (%d bytes): %d %s, want %d", x.body, len(x.body), a.status, a.body, x.status)
			}
		}
		if k.imported != api.MaxImport+1 {
			t.Errorf("%d samples came through", k.imported)
		}
	})
}

func TestVerifyIsOneAtATimeAndWhole(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		const path, repair = "/api/v1/history/verify?from=-2h", `{"from":"2026-11-22T12:00:00Z","to":"2026-11-22T13:00:00Z"}`
		k := &keeper{begun: make(chan struct{}), let: make(chan struct{})}
		r.s.cfg.Archive = k
		ask := func() chan answer {
			out := make(chan answer, 1)
			go func() { out <- r.do("GET", path, "", bearer("tok-engineer")...) }()
			<-k.begun
			return out
		}
		first := ask()
		for _, a := range []answer{r.do("GET", path, "", bearer("tok-engineer")...), r.do("POST", "/api/v1/history/repair", repair, bearer("tok-engineer")...)} {
			if a.status != 429 {
				t.Errorf("while it runs: %d", a.status)
			}
		}
		k.let <- struct{}{}
		if a := <-first; a.status != 200 || !strings.HasPrefix(a.body, `{"day":"`) || !strings.HasSuffix(a.body, `{"end":true}`+"\n") {
			t.Errorf("%d %q", a.status, a.body)
		}
		if a := r.do("POST", "/api/v1/history/repair", repair, bearer("tok-engineer")...); a.status != 200 || k.repaired != 1 {
			t.Errorf("repair: %d %s", a.status, a.body)
		}
		if a := r.do("POST", "/api/v1/history/repair", `{"from":"2026-11-22T12:00:00Z","to":"2026-11-22T12:00:00Z"}`, bearer("tok-engineer")...); a.status != 400 {
			t.Errorf("repair of nothing: %d %s", a.status, a.body)
		}
	})
}

// TestBrokenVerifyIsSeen: a client must not take what came before an error for all.
func TestBrokenVerifyIsSeen(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		k := &keeper{begun: make(chan struct{}, 1), let: make(chan struct{}, 1), fault: errors.New("the disk")}
		k.let <- struct{}{}
		r.s.cfg.Archive = k
		c, err := api.NewClient([]string{"http://a.test"}, "tok-engineer", r.http.Transport.(*http.Transport))
		if err != nil {
			t.Fatal(err)
		}
		days := 0
		err = c.Verify(context.Background(), time.Now().Add(-time.Hour), time.Now(), func(api.VerifiedDay) error { days++; return nil })
		if err == nil || days != 1 {
			t.Errorf("%d days, %v", days, err)
		}
	})
}
