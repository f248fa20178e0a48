package web

import (
	"context"
	"errors"
	"io"
	"testing"
)

func TestBackupIsStreamedToAdmins(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		const path = "/api/v1/backup"
		if a := r.do("GET", path, "", bearer("tok-admin")...); a.status != 404 {
			t.Errorf("a server without backups answers %d", a.status)
		}
		var fault error
		begun, let := make(chan struct{}, 1), make(chan struct{}, 1)
		r.s.cfg.Backup = func(_ context.Context, w io.Writer) error {
			begun <- struct{}{}
			<-let
			if fault != nil {
				return fault
			}
			_, err := io.WriteString(w, "the files")
			return err
		}
		first := make(chan answer)
		go func() { first <- r.do("GET", path, "", bearer("tok-admin")...) }()
		<-begun
		if a := r.do("GET", path, "", bearer("tok-admin")...); a.status != 429 {
			t.Errorf("a second one at the same time: %d", a.status)
		}
		let <- struct{}{}
		if a := <-first; a.status != 200 || a.body != "the files" || a.header.Get("Content-Type") != "application/x-tar" {
			t.Errorf("%d %q %v", a.status, a.body, a.header)
		}
		if a := r.do("GET", path, "", bearer("tok-engineer")...); a.status != 403 {
			t.Errorf("an engineer: %d", a.status)
		}
		fault = errors.New("the disk")
		let <- struct{}{}
		if a := r.do("GET", path, "", bearer("tok-admin")...); a.status != 500 || a.header.Get("Content-Disposition") != "" {
			t.Errorf("one that fails before it begins: %d %v", a.status, a.header)
		}
	})
}
