package doctor

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"scada/web/api"
)

// notSynchronised is STA_UNSYNC of adjtimex(2).
const notSynchronised = 0x0040

// Machine looks at everything that only the system can tell.
func Machine(data string) []api.Check {
	return []api.Check{clock(), disk(data), DiskWrite(data), dataFolder(data), files(), turns(), ram(), release(), Zone()}
}

func clock() api.Check {
	var t unix.Timex
	_, err := unix.Adjtimex(&t)
	return synchronised(t.Status&notSynchronised == 0, time.Duration(t.Esterror)*time.Microsecond, err)
}

func disk(dir string) api.Check {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return result("disk_free", api.CheckFail, 0, "%", err.Error(), "the data folder cannot be looked at")
	}
	size := uint64(st.Bsize) //nolint:gosec // a block has a size
	return diskFree(st.Bavail*size, st.Blocks*size)
}

func dataFolder(dir string) api.Check {
	var st unix.Stat_t
	err := unix.Stat(dir, &st)
	return folder(dir, st.Mode&0o777, int(st.Uid) == os.Geteuid(), err)
}

func files() api.Check {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return result("limit_nofile", api.CheckWarn, 0, "files", err.Error(), "")
	}
	open, _ := os.ReadDir("/proc/self/fd") // where it is missing, nothing is known to be used
	return openFiles(limit.Cur, uint64(len(open)))
}

func turns() api.Check {
	// The system call answers 20 - nice, so that it is never negative.
	const shifted = 20
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		raw = shifted
	}
	var rt unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_RTPRIO, &rt); err != nil {
		rt.Cur = 0
	}
	return priority(shifted-raw, int(min(rt.Cur, 99)))
}

func release() api.Check {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return kernel(err.Error())
	}
	return kernel(unix.ByteSliceToString(u.Release[:]))
}

// ram prefers the limit of the control group: a container is killed at its own, not at the machine's.
func ram() api.Check {
	if most, ok := number("/sys/fs/cgroup/memory.max"); ok {
		if used, ok := number("/sys/fs/cgroup/memory.current"); ok {
			reclaimable := uint64(0)
			if v, ok := field("/sys/fs/cgroup/memory.stat", "inactive_file"); ok {
				reclaimable = v
			}
			return memory((most-min(used-min(reclaimable, used), most))/bytesPerMebibyte, most/bytesPerMebibyte, true)
		}
	}
	total, ok := field("/proc/meminfo", "MemTotal:")
	free, known := field("/proc/meminfo", "MemAvailable:")
	if !ok || !known {
		return result("memory", api.CheckWarn, 0, "%", "the system does not tell", "")
	}
	const kibi = 1024
	return memory(free/kibi, total/kibi, false)
}

func number(file string) (uint64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// field returns the number behind a name in a file of lines.
func field(file, name string) (uint64, bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var n uint64
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			if _, err := fmt.Sscan(rest, &n); err == nil {
				return n, true
			}
		}
	}
	return 0, false
}

// Free returns the bytes left for a folder.
func Free(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil //nolint:gosec // a block has a size
}
