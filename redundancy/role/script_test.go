package role_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/simulation"
)

// If a script fails, run go test ./redundancy/role -rewrite and read the difference. Commit it only if you understand
// what caused it and want it.
var rewrite = flag.Bool("rewrite", false, "write what the machines do into testdata as the expected output")

// TestScripts runs the stories of testdata over two machines in a simulated world without chance. A script is a paragraph of
// prose, then blocks of commands, a line of four dashes, and what happened.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("got:\n%s", got)
			}
		})
	}
}

type script struct {
	t   *testing.T
	set simulation.Settings
	w   *simulation.World
	out strings.Builder
}

func runScript(t *testing.T, text string) string {
	s := &script{t: t, set: simulation.Settings{
		Role:  role.Config{Heartbeat: 100 * time.Millisecond, Misses: 5, HoldOff: 2 * time.Second},
		Delay: time.Millisecond, Persist: 5 * time.Millisecond, Activate: 10 * time.Millisecond, Deactivate: 20 * time.Millisecond,
	}}
	blocks := strings.Split(strings.TrimRight(text, "\n"), "\n\n")
	result := []string{blocks[0]}
	if !strings.HasPrefix(blocks[0], "#") {
		t.Fatal("a script begins with a paragraph that says why")
	}
	for _, block := range blocks[1:] {
		commands, _, _ := strings.Cut(block, "\n----")
		s.out.Reset()
		for line := range strings.SplitSeq(commands, "\n") {
			if !strings.HasPrefix(line, "#") {
				s.command(line)
			}
		}
		if broken := s.w.Broken(); broken != "" {
			fmt.Fprintf(&s.out, "BROKEN %s\n", broken)
			t.Error(broken)
		}
		result = append(result, strings.TrimRight(commands+"\n----\n"+s.out.String(), "\n"))
	}
	return strings.Join(result, "\n\n") + "\n"
}

func (s *script) trace(at time.Duration, node, line string) {
	fmt.Fprintf(&s.out, "%8.3fs %s %s\n", at.Seconds(), node, line)
}

func (s *script) command(line string) {
	f := strings.Fields(line)
	if f[0] == "world" {
		s.configure(f[1:])
		return
	}
	if s.w == nil {
		s.set.Trace = s.trace
		s.w = simulation.New(s.set)
	}
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	rest := strings.Join(f[min(len(f), 2):], " ")
	switch f[0] {
	case "run":
		s.w.Run(s.duration(arg(1)))
	case "start":
		s.w.Start(arg(1))
	case "kill":
		s.w.Kill(arg(1))
	case "power":
		s.w.Power(arg(1), arg(2) == "on")
	case "stop":
		s.w.Stop(arg(1), rest)
	case "stall":
		s.w.Stall(arg(1), s.duration(arg(2)))
	case "cut":
		s.cut(arg(1), arg(2))
	case "heal":
		s.w.Heal()
	case "self":
		s.w.Self(arg(1), s.self(f[2:]))
	case "witness":
		s.w.Witness(arg(1), map[string]role.Verdict{"alive": role.PeerAlive, "dead": role.PeerDead, "cut-off": role.CutOff}[arg(2)])
	case "activation":
		s.w.FailActivation(arg(1), arg(2) == "fails")
	case "switch", "drill", "take", "release":
		s.order(arg(1), f[0], rest)
	case "maintenance":
		s.order(arg(1), "maintenance "+arg(2), strings.Join(f[min(len(f), 3):], " "))
	case "state":
		fmt.Fprintf(&s.out, "%s\n%s\n", s.w.State("a"), s.w.State("b"))
	default:
		s.t.Fatalf("unknown command %q", line)
	}
}

func (s *script) order(node, what, reason string) {
	if err := s.w.Order(node, what, reason); err != nil {
		fmt.Fprintf(&s.out, "error: %v\n", err)
	}
}

// cut takes "lan" or "ded" or "all", and optionally "a>b" or "b>a".
func (s *script) cut(path, direction string) {
	p := map[string]int{"lan": 0, "ded": 1, "all": -1}[path]
	if direction != "b>a" {
		s.w.Cut(p, "a", true)
	}
	if direction != "a>b" {
		s.w.Cut(p, "b", true)
	}
}

func (s *script) self(fields []string) role.Self {
	self := role.Self{Ready: true}
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "ready":
			self.Ready = value == "true"
		case "busy":
			self.Busy = value == "true"
		case "hold":
			self.Hold = value
		case "reachable":
			n, err := strconv.Atoi(value)
			if err != nil {
				s.t.Fatal(err)
			}
			self.Reachable = uint32(n)
		case "score":
			n, err := strconv.Atoi(value)
			if err != nil {
				s.t.Fatal(err)
			}
			self.Score = n
		default:
			s.t.Fatalf("unknown field %q", f)
		}
	}
	return self
}

func (s *script) configure(fields []string) {
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		var err error
		switch key {
		case "heartbeat":
			s.set.Role.Heartbeat = s.duration(value)
		case "misses":
			s.set.Role.Misses, err = strconv.Atoi(value)
		case "hold_off":
			s.set.Role.HoldOff = s.duration(value)
		case "health_margin":
			s.set.Role.HealthMargin, err = strconv.Atoi(value)
		case "failback":
			s.set.Role.Failback, err = role.ParseFailback(value)
		case "policy":
			s.set.Role.Policy, err = role.ParsePolicy(value)
		case "witness":
			s.set.Role.Witness = value == "true"
		case "persist":
			s.set.Persist = s.duration(value)
		case "activate":
			s.set.Activate = s.duration(value)
		case "deactivate":
			s.set.Deactivate = s.duration(value)
		default:
			s.t.Fatalf("unknown setting %q", f)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *script) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}
