package web

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"scada/web/api"
)

// TestEveryVerbIsGuarded walks the verbs of the socket as nobody, and as a user of the role just below the one each needs.
func TestEveryVerbIsGuarded(t *testing.T) {
	tokens := map[Role]string{Viewer: "tok-viewer", Operator: "tok-operator", Engineer: "tok-engineer", Admin: "tok-admin"}
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", float("a/x"))
		r := startRig(t, testConfig("a"), f)
		defer r.stop()
		deadline := time.Now().Add(5 * time.Second).Format(time.RFC3339Nano)
		for verb, permission := range verbs {
			message := fmt.Sprintf(`{"t":%q,"id":1}`, verb)
			if verb == "write" {
				message = fmt.Sprintf(`{"t":"write","id":"w","tag":"a/x","value":5,"deadline":%q,"nonce":"0123456789abcdef"}`, deadline)
			}
			want := closeBadRequest // anything before hello
			if permission == Anonymous {
				want = closeUnauthorized // hello without a proof
			}
			s := r.socket()
			s.send(message)
			if code := s.wantClose(); code != want {
				t.Errorf("%s as nobody: closed with %d, want %d", verb, code, want)
			}
			s.close()
			below, ok := tokens[needs[permission]-1]
			if permission == Anonymous || !ok {
				continue
			}
			s, _ = r.hello(below, "")
			s.send(message)
			if m := s.want("refused"); m["code"] != api.CodeForbidden {
				t.Errorf("%s as %s: %v", verb, needs[permission]-1, m)
			}
			s.close()
		}
		if len(f.written()) != 0 {
			t.Errorf("a probe wrote: %v", f.written())
		}
	})
}
