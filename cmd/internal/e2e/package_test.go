//go:build e2e && linux

package e2e

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// mostExposed is the exposure systemd-analyze may find in the unit, of 10.
const mostExposed = 2.5

// TestUnit has systemd judge the unit and what the package lets it do.
func TestUnit(t *testing.T) {
	needPrograms(t, "systemd-analyze", "promtool")
	const unit = "../packaging/scadad.service"
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		// The unit is the package's: its program is not installed on this machine. Other units of the machine are not ours.
		if line != "" && strings.Contains(line, "scadad.service") && !strings.Contains(line, "is not executable: No such file") {
			t.Errorf("systemd-analyze verify (%v): %s", err, line)
		}
	}
	out, err = exec.Command("systemd-analyze", "security", "--offline=true", unit).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze security: %v: %s", err, out)
	}
	m := regexp.MustCompile(`Overall exposure level for scadad.service: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no judgement: %s", out)
	}
	if v, err := strconv.ParseFloat(string(m[1]), 64); err != nil || v > mostExposed {
		t.Errorf("the exposure is %s, at most %v is wanted:\n%s", m[1], mostExposed, out)
	} else {
		t.Logf("systemd-analyze security: %s of 10", m[1])
	}
	if out, err := exec.Command("promtool", "check", "rules", "../../../docs/monitoring/alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("promtool: %v: %s", err, out)
	}
}

// needPrograms skips where programs are missing, and fails where they must not be.
func needPrograms(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("%s is not installed, and CI=true", p)
		}
		t.Skipf("%s is not installed", p)
	}
}

// machineRoot is a file tree that is a machine of its own for the programs started in it.
type machineRoot struct {
	t   *testing.T
	dir string
}

// newMachineRoot installs a bare Debian.
func newMachineRoot(t *testing.T) *machineRoot {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a file tree with a system of its own needs root")
	}
	needPrograms(t, "debootstrap", "dpkg-deb")
	m := &machineRoot{t: t, dir: t.TempDir()}
	if err := os.Chmod(m.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("debootstrap", "--variant=minbase", "bookworm", m.dir).CombinedOutput(); err != nil {
		t.Skipf("debootstrap cannot install Debian here: %v: %s", err, lastLines(out))
	}
	return m
}

func lastLines(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(len(lines)-5, 0):], "\n")
}

// sh runs a script in the root.
func (m *machineRoot) sh(script string) (string, error) {
	cmd := exec.Command("chroot", m.dir, "/bin/sh", "-ec", script)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LANG=C", "HOME=/root"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *machineRoot) must(script string) string {
	m.t.Helper()
	out, err := m.sh(script)
	if err != nil {
		m.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return out
}

// thePackage is what make deb has made.
func thePackage(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("../../../bin/dist/scada_*.deb")
	if err != nil || len(found) != 1 {
		t.Skipf("there is not one package but %v (make deb)", found)
	}
	return found[0]
}

// TestPackage installs, upgrades, removes and purges the package in a bare Debian.
func TestPackage(t *testing.T) {
	needTime(t)
	deb := thePackage(t)
	m := newMachineRoot(t)
	if err := copyFile(deb, filepath.Join(m.dir, "scada_1.deb")); err != nil {
		t.Fatal(err)
	}
	m.must("apt-get install -yq --no-install-recommends ./scada_1.deb")
	for script, want := range map[string]string{
		"scadad --version":                                    "scadad version",
		"stat -c '%U:%G %a' /var/lib/scada":                   "scada:scada 750",
		"stat -c '%U:%G %a' /etc/scada":                       "root:scada 750",
		"getent passwd scada | cut -d: -f6":                   "/var/lib/scada",
		"zcat /usr/share/man/man1/scadactl-top.1.gz":          "SYNOPSIS",
		"ls /usr/share/doc/scada":                             "install.md",
		"cat /usr/share/bash-completion/completions/scadactl": "scadactl",
		"dpkg-query -W -f '${Status}' scada":                  "install ok installed",
		"scadad --node a --config /none 2>&1 || true":         "/none",
	} {
		if out := m.must(script); !strings.Contains(out, want) {
			t.Errorf("%s: %q, want %q", script, out, want)
		}
	}
	// What the plant's people wrote stays through an upgrade.
	m.must("echo SCADA_NODE=b > /etc/scada/node; touch /etc/scada/plant.yaml /var/lib/scada/history")
	second := filepath.Join(t.TempDir(), "scada_2.deb")
	m.buildPackage("999", second)
	if err := copyFile(second, filepath.Join(m.dir, "scada_2.deb")); err != nil {
		t.Fatal(err)
	}
	m.must("apt-get install -yq --no-install-recommends ./scada_2.deb")
	if out := m.must("cat /etc/scada/node; dpkg-query -W -f '${Version}' scada"); out != "SCADA_NODE=b\n999" {
		t.Errorf("after the upgrade: %q", out)
	}
	m.must("apt-get remove -yq scada; test -f /etc/scada/node; test -f /var/lib/scada/history; test ! -e /usr/bin/scadad")
	m.must("apt-get purge -yq scada; test ! -e /etc/scada; test ! -e /var/lib/scada; ! getent passwd scada")
}

func (m *machineRoot) buildPackage(version, file string) {
	m.t.Helper()
	cmd := exec.Command("cmd/internal/packaging/build", version, "amd64", file)
	cmd.Dir = "../../.."
	arch, err := exec.Command("go", "env", "GOARCH").Output()
	if err != nil {
		m.t.Fatal(err)
	}
	cmd.Args[2] = strings.TrimSpace(string(arch))
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("building the package: %v: %s", err, out)
	}
}

// TestReproducible builds a program from one commit in two folders, and the package twice: the bytes are the same.
func TestReproducible(t *testing.T) {
	needTime(t)
	sums := map[string][32]byte{}
	note := func(what, file string) {
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if before, ok := sums[what]; ok && before != sum {
			t.Errorf("%s has other bytes the second time", what)
		}
		sums[what] = sum
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		t.Skip("this is no checkout")
	}
	for range 2 {
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "timetzdata", "-ldflags", "-s -w -X main.version="+commit, "-o", "scadactl", "./cmd/scadactl")
		build.Dir = exported(t, commit)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		note("scadactl", filepath.Join(build.Dir, "scadactl"))
		thePackage(t)
		file := filepath.Join(t.TempDir(), "scada.deb")
		(&machineRoot{t: t}).buildPackage("1", file)
		note("the package", file)
	}
}
