//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/simulators/plc"
	"scada/web/api"
)

const installPage = "../../../docs/install.md"

// block is a piece of the page that a reader types in, or writes into a file.
type block struct{ where, text string }

var fence = regexp.MustCompile("(?ms)^```(sh|yaml) ([a-z.]+)\n(.*?)^```$")

func blocks(t *testing.T) (list []block) {
	t.Helper()
	b, err := os.ReadFile(installPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(b), -1) {
		list = append(list, block{m[2], m[3]})
	}
	return list
}

// site is two machines of a plant, each a bare Debian in a network namespace, and a reader of the page. He has no service
// manager, no scp and no journal; for these three the test stands in, by what the package has installed.
type site struct {
	t        *testing.T
	machines map[string]*machine
	code     string     // of the pairing
	paired   chan error // the side that printed it
	user     string     // the first administrator
	password string     // his
	ctx      context.Context
}

// machine is one of them.
type machine struct {
	*machineRoot
	name    string
	net     *space
	service *exec.Cmd
	log     syncBuffer
}

// syncBuffer is the log of a service.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestInstallPage does what docs/install.md says, on two machines, and looks whether that gives a pair with a secured link, an
// administrator and a virtual address that moves.
func TestInstallPage(t *testing.T) {
	needTime(t)
	needNamespaces(t)
	s := newSite(t, thePackage(t))
	steps := blocks(t)
	if len(steps) < 8 {
		t.Fatalf("the page has only %d blocks to follow", len(steps))
	}
	for _, step := range steps {
		switch step.where {
		case "plant.yaml":
			if err := os.WriteFile(filepath.Join(s.machines["a"].dir, "etc/scada/plant.yaml"), []byte(step.text), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		case "both":
			s.script("a", step.text)
			s.script("b", step.text)
			continue
		}
		s.script(step.where, step.text)
	}
	s.holds("a", "b")
	// What the page promises: whoever is killed, the other goes on, and the address is where the active is.
	a := s.machines["a"]
	if err := a.service.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = a.service.Wait()
	a.service = nil
	if out, err := a.run("", ". /etc/scada/node; "+a.unit("ExecStopPost")); err != nil {
		t.Errorf("ExecStopPost: %v: %s", err, out)
	}
	s.eventually(30*time.Second, "b is active and has the address", func() error {
		if s.machines["a"].has(follows) || !s.machines["b"].has(follows) {
			return fmt.Errorf("a has it: %v, b has it: %v", s.machines["a"].has(follows), s.machines["b"].has(follows))
		}
		p, err := s.role("b")
		if n, _ := p.Find("b"); err == nil && (len(n.Areas) == 0 || n.Areas[0].Role != api.RoleActive) {
			err = fmt.Errorf("b is %+v", n.Areas)
		}
		return err
	})
}

const follows = "10.0.0.10"

func newSite(t *testing.T, deb string) *site {
	t.Helper()
	s := &site{t: t, machines: map[string]*machine{}, paired: make(chan error, 1), ctx: t.Context()}
	hub := newSpace(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(hub.ip("link add br-lan type bridge forward_delay 0", "link set br-lan up", "link add br-ded type bridge forward_delay 0", "link set br-ded up"))
	plug := func(name string, to *space, cable, address string) {
		t.Helper()
		must(hub.ip(fmt.Sprintf("link add %s-%s type veth peer name %s netns /proc/%d/fd/%d", cable, name, cable, os.Getpid(), to.fd),
			fmt.Sprintf("link set %s-%s master br-%s", cable, name, cable), fmt.Sprintf("link set %s-%s up", cable, name)))
		must(to.ip("link set lo up", "addr add "+address+"/24 dev "+cable, "link set "+cable+" up"))
	}
	bare := newMachineRoot(t)
	for i, name := range []string{"a", "b"} {
		root := bare
		if name == "b" {
			root = &machineRoot{t: t, dir: filepath.Join(t.TempDir(), "root")}
			if out, err := exec.Command("cp", "-a", bare.dir, root.dir).CombinedOutput(); err != nil {
				t.Fatalf("copying the machine: %v: %s", err, out)
			}
		}
		m := &machine{machineRoot: root, name: name, net: newSpace(t)}
		s.machines[name] = m
		plug(name, m.net, "lan", fmt.Sprintf("10.0.0.%d", i+1))
		plug(name, m.net, "ded", fmt.Sprintf("10.9.0.%d", i+1))
	}
	for _, m := range s.machines {
		must(copyFile(deb, filepath.Join(m.dir, "scada.deb")))
		t.Cleanup(m.end)
	}
	field := newSpace(t)
	plug("field", field, "lan", "10.0.0.100")
	bank := plc.NewMemory(16)
	device := plc.New(plc.Options{Name: "plc1", Address: "10.0.0.100:502", Units: map[uint8]plc.Unit{1: {Device: "plc1", Bank: bank}},
		Listen: func(network, address string) (l net.Listener, err error) {
			return l, field.do(func() error { l, err = net.Listen(network, address); return err })
		}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- device.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// run runs a script on the machine, with its own view of the processes.
func (m *machine) run(input, script string) (string, error) {
	cmd := m.command(script)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	if err := m.net.start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

func (m *machine) command(script string) *exec.Cmd {
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", `mount --bind /proc "$0/proc" && mount --rbind /sys "$0/sys" && exec chroot "$0" /bin/sh -ec "$1"`, m.dir, script)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LANG=C", "HOME=/root"}
	return cmd
}

// script does one block of the page, line by line.
func (s *site) script(where, text string) {
	s.t.Helper()
	m := s.machines[where]
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		line = strings.NewReplacer("CODE", s.code, "USER", s.user).Replace(line)
		s.t.Logf("%s# %s", where, line)
		if err := s.line(m, line); err != nil {
			s.t.Fatalf("on %s: %s: %v\n%s", where, line, err, m.log.String())
		}
	}
}

func (s *site) line(m *machine, line string) error {
	switch {
	case strings.HasPrefix(line, "scp "):
		return s.scp(m, strings.Fields(line)[1:])
	case strings.HasPrefix(line, "systemctl daemon-reload"):
		_, err := os.Stat(filepath.Join(m.dir, dropIn))
		return err
	case strings.HasPrefix(line, "systemctl enable --now scadad"):
		return m.startService()
	case strings.HasPrefix(line, "journalctl "):
		return s.firstPassword(m)
	case strings.Contains(line, "link pair") && strings.Contains(line, "--listen"):
		return s.invite(m, line)
	case strings.Contains(line, "link pair"):
		out, err := m.run("", line)
		if err == nil {
			err = <-s.paired
		}
		return withText(err, out)
	case strings.Contains(line, "scadactl role drill"):
		s.holds("a", "b")
	}
	input := ""
	if strings.Contains(line, " login ") {
		input = s.password + "\n"
	} else if strings.Contains(line, "user password") {
		input = s.password + "\nanother-long-password\n"
	}
	out, err := m.run(input, line)
	var exit *exec.ExitError
	if strings.Contains(line, "node status") && errors.As(err, &exit) && exit.ExitCode() == 1 && strings.Contains(out, "fails: ") {
		err = nil // the machine of the test may well lack something
	}
	s.t.Log(out)
	return withText(err, out)
}

func withText(err error, out string) error {
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// scp copies from one machine to the other, with the mode.
func (s *site) scp(m *machine, args []string) error {
	target := args[len(args)-1]
	_, dir, ok := strings.Cut(target, "root@10.0.0.2:")
	if !ok {
		return fmt.Errorf("no target in %v", args)
	}
	for _, name := range args[:len(args)-1] {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if out, err := exec.Command("cp", "-p", filepath.Join(m.dir, name), filepath.Join(s.machines["b"].dir, dir)).CombinedOutput(); err != nil {
			return withText(err, string(out))
		}
	}
	return nil
}

// invite leaves the pairing running and reads the code.
func (s *site) invite(m *machine, line string) error {
	cmd := m.command(line)
	var out syncBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := m.net.start(cmd); err != nil {
		return err
	}
	go func() { s.paired <- withText(cmd.Wait(), out.String()) }()
	printed := regexp.MustCompile(`code: (\S+)`)
	s.eventually(30*time.Second, "the code is printed", func() error {
		if m := printed.FindStringSubmatch(out.String()); m != nil {
			s.code = m[1]
			return nil
		}
		return errors.New(out.String())
	})
	return nil
}

const dropIn = "etc/systemd/system/scadad.service.d/virtual-address.conf"

// unit returns a setting of the installed unit.
func (m *machine) unit(name string) string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, "lib/systemd/system/scadad.service"))
	if err != nil {
		m.t.Fatal(err)
	}
	v := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindSubmatch(b)
	if v == nil {
		m.t.Fatalf("the unit has no %s", name)
	}
	return string(v[1])
}

// startService does what the service manager does with the unit: the check, the user, the capabilities of the drop-in if it is
// there and no others, the nodes's name, and it waits until the node says that it is ready.
func (m *machine) startService() error {
	socket := filepath.Join(m.dir, "run/notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	m.t.Cleanup(func() { l.Close() })
	if err := os.Chmod(socket, 0o666); err != nil {
		return err
	}
	caps := ""
	if _, err := os.Stat(filepath.Join(m.dir, dropIn)); err == nil {
		caps = "--inh-caps +net_admin,+net_raw --ambient-caps +net_admin,+net_raw"
	}
	as := "setpriv --reuid " + m.unit("User") + " --regid " + m.unit("Group") + " --init-groups --no-new-privs " + caps + " "
	if out, err := m.run("", as+m.unit("ExecStartPre")); err != nil {
		return withText(err, out)
	}
	m.service = m.command(". /etc/scada/node; cd /; exec " + as + "env NOTIFY_SOCKET=/run/notify WATCHDOG_USEC=30000000 " + m.unit("ExecStart"))
	m.service.Stdout, m.service.Stderr = &m.log, &m.log
	if err := m.net.start(m.service); err != nil {
		return err
	}
	b := make([]byte, 4096)
	if err := l.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return err
	}
	n, err := l.Read(b)
	if err != nil || string(b[:n]) != "READY=1" {
		return fmt.Errorf("the node has not said that it is ready but %q: %w", b[:n], err)
	}
	return nil
}

func (m *machine) end() {
	if m.service != nil {
		_ = m.service.Process.Kill()
		_ = m.service.Wait()
	}
	if m.t.Failed() {
		m.t.Logf("--- %s\n%s", m.name, m.log.String())
	}
}

// has reports whether the machine has an address.
func (m *machine) has(address string) (found bool) {
	_ = m.net.do(func() error {
		list, err := net.InterfaceAddrs()
		for _, a := range list {
			found = found || strings.HasPrefix(a.String(), address+"/")
		}
		return err
	})
	return found
}

// firstPassword reads what the node said about its first administrator, in the log of whichever node had to make one.
func (s *site) firstPassword(m *machine) error {
	said := regexp.MustCompile(`(?s)no administrator.*?user +(\S+)\s+password +(\S+)`)
	var err error
	s.eventually(60*time.Second, "the one-time password is in the log", func() error {
		found := said.FindStringSubmatch(m.log.String())
		if found == nil {
			return errors.New(m.log.String())
		}
		s.user, s.password = found[1], found[2]
		return nil
	})
	return err
}

func (s *site) eventually(within time.Duration, what string, check func() error) {
	s.t.Helper()
	limit := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			s.t.Fatalf("after %s still not: %s: %v", within, what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// role asks from a machine, with the session of the one who logged in on a.
func (s *site) role(from string) (p api.Pair, err error) {
	server := map[string]string{"a": "https://10.0.0.1:8080", "b": "https://10.0.0.2:8080"}[from]
	out, err := s.machines["a"].run("", "scadactl --server "+server+" -o json role 2>/dev/null")
	if err != nil {
		return p, withText(err, out)
	}
	return p, json.Unmarshal([]byte(out), &p)
}

// holds waits until one machine is active with the address, the other mirrors it, and both are ready.
func (s *site) holds(active, standby string) {
	s.t.Helper()
	s.eventually(120*time.Second, active+" is active, "+standby+" mirrors it", func() error {
		p, err := s.role(active)
		if err != nil {
			return err
		}
		for name, want := range map[string]string{active: api.RoleActive, standby: api.RoleStandby} {
			n, _ := p.Find(name)
			if len(n.Areas) != 1 || n.Areas[0].Role != want || len(n.NotReady) > 0 {
				return fmt.Errorf("%s: %+v", name, n)
			}
		}
		if !s.machines[active].has(follows) || s.machines[standby].has(follows) {
			return errors.New("the virtual address is not where the active is")
		}
		return nil
	})
}
