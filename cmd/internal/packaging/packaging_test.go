package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWhatThePackageNamesIsThere: every file the package takes from the repository exists.
func TestWhatThePackageNamesIsThere(t *testing.T) {
	named := regexp.MustCompile(`(?m)(?:put \d+ |in )"?((?:\$here|docs|LICENSE)[^" ;]*)`).FindAllStringSubmatch(file(t, "build"), -1)
	if len(named) < 6 {
		t.Errorf("only %d files: %v", len(named), named)
	}
	for _, m := range named {
		name := filepath.Join("../../..", m[1])
		if below, ok := strings.CutPrefix(m[1], "$here/"); ok {
			name = below
		}
		if strings.Contains(name, "$") {
			continue
		}
		if found, err := filepath.Glob(name); err != nil || len(found) == 0 {
			t.Errorf("%s is not there", m[1])
		}
	}
}

// TestScriptsAreShell: the package runs them on machines without bash, as root.
func TestScriptsAreShell(t *testing.T) {
	for _, name := range []string{"postinst", "prerm", "postrm", "build"} {
		text := file(t, name)
		if !strings.HasPrefix(text, "#!/bin/sh\n") || !strings.Contains(text, "\nset -e") {
			t.Errorf("%s does not stop at an error", name)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// TestTheUnitIsHard holds the lines that keep a broken-into node from the machine, and those the watchdog needs.
func TestTheUnitIsHard(t *testing.T) {
	unit := "\n" + file(t, "scadad.service")
	for _, want := range []string{"Type=notify", "WatchdogSec=30", "ProtectSystem=strict", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "User=scada", "Nice=-10", "LimitNOFILE=65536",
		"ExecStopPost=/usr/bin/scadad cleanup --config /etc/scada/plant.yaml --node ${SCADA_NODE}", "MemoryDenyWriteExecute=yes", "SystemCallFilter=~@privileged", "Restart=always"} {
		if !strings.Contains(unit, "\n"+want+"\n") {
			t.Errorf("the unit lacks %s", want)
		}
	}
	if strings.Contains(unit, "CAP_NET_ADMIN") || !strings.Contains(file(t, "virtual-address.conf"), "AmbientCapabilities=CAP_NET_ADMIN") {
		t.Error("only a plant with virtual addresses may change the network")
	}
}
