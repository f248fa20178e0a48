package uitest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// RendererCPU is the processor time the pages of this test's browsers have used so far: scripts, layout and painting.
func (b *Tab) RendererCPU() time.Duration {
	b.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		b.t.Skip("needs /proc")
	}
	parents, used := map[int]int{}, map[int]time.Duration{}
	for _, path := range stats {
		pid, parent, cpu, ok := readStat(path)
		if !ok {
			continue
		}
		parents[pid] = parent
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(line), "--type=renderer") {
			used[pid] = cpu
		}
	}
	var sum time.Duration
	for pid, cpu := range used {
		for p := pid; p > 1; p = parents[p] {
			if p == os.Getpid() {
				sum += cpu
				break
			}
		}
	}
	return sum
}

// tick is the unit of processor time in /proc.
const tick = 10 * time.Millisecond

func readStat(path string) (pid, parent int, cpu time.Duration, ok bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, 0, false // it has ended meanwhile
	}
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, 0, 0, false
	}
	pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	parent, _ = strconv.Atoi(fields[1])
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return pid, parent, time.Duration(user+system) * tick, true
}
