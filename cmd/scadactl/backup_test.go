package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

// tarOf makes a backup of the files, each its own name as content, in the given order. With a manifest it is whole.
func tarOf(t *testing.T, m *api.Manifest, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, content []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		add(name, []byte(name))
		sum := sha256.Sum256([]byte(name))
		if m != nil {
			m.Files = append(m.Files, api.BackupFile{Name: name, Size: int64(len(name)), SHA256: hex.EncodeToString(sum[:])})
		}
	}
	if m != nil {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		add(api.BackupManifest, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func whole() *api.Manifest {
	return &api.Manifest{Format: api.BackupFormat, Project: "waterworks", Node: "a", Created: noon}
}

var backupFiles = []string{"history/p/20261120.l1.db", "history/p/20261121.l0.db", "history/r/202611.db", "history/meta.db", "journal.db"}

func scadactl(args ...string) (code int, out string) {
	var o, e bytes.Buffer
	code = run(context.Background(), args, world{in: strings.NewReader(""), out: &o, err: &e, getenv: func(string) string { return "" }})
	return code, o.String() + e.String()
}

func TestBackupIsTakenAndRestored(t *testing.T) {
	data := tarOf(t, whole(), backupFiles...)
	half := false
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/api/v1/backup":
		case half:
			_, _ = w.Write(data[:len(data)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			_, _ = w.Write(data)
		}
	}))
	defer node.Close()
	dir := t.TempDir()
	file, folder := filepath.Join(dir, "backup.tar"), filepath.Join(dir, "data")
	if code, out := scadactl("--server", node.URL, "--token", "x", "backup", "create", "-f", file); code != exitOK || !strings.Contains(out, "history/meta.db") {
		t.Fatalf("create: %d, %s", code, out)
	}
	if code, out := scadactl("backup", "verify", file); code != exitOK {
		t.Fatalf("verify: %d, %s", code, out)
	}
	if code, out := scadactl("backup", "restore", file, "--data", folder, "--project", "brewery"); code != exitRefused || !strings.Contains(out, `of project "waterworks", not "brewery"`) {
		t.Fatalf("another project's: %d, %s", code, out)
	}
	if code, out := scadactl("backup", "restore", file, "--data", folder, "--project", "waterworks"); code != exitOK {
		t.Fatalf("restore: %d, %s", code, out)
	}
	for _, name := range backupFiles {
		if b, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(b) != name {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if code, out := scadactl("backup", "restore", file, "--data", folder, "--project", "waterworks"); code != exitRefused {
		t.Fatalf("over what is there: %d, %s", code, out)
	}
	if code, out := scadactl("backup", "restore", file, "--data", folder, "--project", "brewery", "--force"); code != exitOK {
		t.Fatalf("by force: %d, %s", code, out)
	}
	if list, _ := filepath.Glob(filepath.Join(folder, "*.before-*")); len(list) != 2 {
		t.Errorf("moved aside: %v", list)
	}
	half = true
	other := filepath.Join(dir, "other.tar")
	if code, _ := scadactl("--server", node.URL, "--token", "x", "backup", "create", "-f", other); code != exitFailed {
		t.Errorf("a backup that broke off: %d", code)
	}
	if list, _ := filepath.Glob(other + "*"); len(list) != 0 {
		t.Errorf("it left %v", list)
	}
}

func TestSpoiledBackupsAreRefused(t *testing.T) {
	good := tarOf(t, whole(), backupFiles...)
	flipped := bytes.Clone(good)
	flipped[512] ^= 1 // content of the first file
	m := whole()
	m.Format = "scada backup 9"
	more := whole()
	more.Files = []api.BackupFile{{Name: "journal.db"}}
	for name, b := range map[string][]byte{
		"is damaged":                  flipped,
		"no manifest at its end":      tarOf(t, nil, backupFiles...),
		"manifest cannot be read":     good[:len(good)-1500],
		`"../plant.yaml" does not be`: tarOf(t, whole(), "../plant.yaml"),
		`its format is`:               tarOf(t, m, backupFiles...),
		"journal.db is missing":       tarOf(t, more, backupFiles[0]),
		"not whole":                   []byte("something else"),
		"does not belong":             tarOf(t, whole(), "journal.db", "journal.db"),
	} {
		file, data := filepath.Join(t.TempDir(), "x"), filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readBackupFile(file, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := restoreBackup(file, data, "waterworks", true, time.Now()); err == nil {
			t.Errorf("%s: it was restored", name)
		}
		if _, err := os.Stat(data); err == nil {
			t.Errorf("%s: the folder was touched", name)
		}
	}
}
