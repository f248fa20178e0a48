//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ctl runs scadactl against both nodes, the first one first, and returns its exit code and all it says.
func (r *rig) scadactl(first string, args ...string) (int, string) {
	r.t.Helper()
	second := map[string]string{"a": "b", "b": "a"}[first]
	cmd := exec.Command(filepath.Join(r.bin, "scadactl"), args...)
	cmd.Env = append(os.Environ(), "SCADACTL_SERVER="+r.url(first)+","+r.url(second), "SCADACTL_TOKEN="+r.who.Token)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// TestHistoryIsImportedVerifiedAndRepaired imports a file through the standby, takes a day file from it while it is down, and
// has the nodes find and repair that. Before, an independent reader reads the export as a Parquet file.
func TestHistoryIsImportedVerifiedAndRepaired(t *testing.T) {
	r := newRig(t, nil)
	r.start()
	const tagName, samples = "intake/header/flow", 3000
	from := time.Now().UTC().Truncate(time.Hour).Add(-4 * time.Hour)
	var file bytes.Buffer
	file.WriteString("tag,time,value,quality\n")
	for i := range samples {
		value, quality := fmt.Sprint(i, ".5"), "Good"
		if i%100 == 99 {
			value, quality = "", "Bad_SensorFailure"
		}
		fmt.Fprintf(&file, "%s,%s,%s,%s\n", tagName, from.Add(time.Duration(i)*time.Second).Format(time.RFC3339), value, quality)
	}
	path := filepath.Join(r.dir, "flow.csv")
	write := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(append(bytes.Clone(file.Bytes()), "nobody,2026-11-22T12:00:00Z,1,Good\n"...))
	if code, out := r.scadactl("b", "history", "import", path); code != 1 || !strings.Contains(out, fmt.Sprintf("%s:%d: ", path, samples+2)) {
		t.Errorf("a wrong row: exit %d, %s", code, out)
	}
	write(file.Bytes())
	if code, out := r.scadactl("b", "history", "import", path, "-o", "csv"); code != 0 || !strings.Contains(out, "3000,3000") {
		t.Fatalf("exit %d, %s", code, out)
	}
	verify := []string{"history", "verify", "--from", from.Format(time.RFC3339), "--to", from.Add(2 * time.Hour).Format(time.RFC3339)}
	r.eventually(20*time.Second, "both nodes have what was imported", func() error {
		if code, out := r.scadactl("a", verify...); code != 0 || strings.Count(out, "3000") != 2 {
			return fmt.Errorf("exit %d, %s", code, out)
		}
		return nil
	})
	r.checkParquet(tagName, "m3/h", from, from.Add(2*time.Hour))
	r.checkDataFolders()

	r.signal("b", syscall.SIGKILL)
	files, err := filepath.Glob(filepath.Join(r.dir, "data", "b", "history", "p", from.Format("20060102")+".l*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	r.startNode("b")
	r.waitStandby("b", "a")
	if code, out := r.scadactl("a", verify...); code != 1 || !strings.Contains(out, "differs") {
		t.Errorf("a day file is gone: exit %d, %s", code, out)
	}
	if code, out := r.scadactl("a", append(verify, "--repair")...); code != 0 || strings.Count(out, "3000") != 2 {
		t.Errorf("repair: exit %d, %s", code, out)
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "b.log"))
	if err != nil || !bytes.Contains(log, []byte("a day file is gone")) {
		t.Errorf("its log does not tell of the file that is gone (%v)", err)
	}
}
