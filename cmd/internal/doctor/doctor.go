// Package doctor looks at the machine a node runs on: what will stop the node one day without being a fault today.
// Looking and judging are apart: the judges are pure, so that every limit has a test just below and just over it.
package doctor

import (
	"fmt"
	"time"

	"scada/web/api"
)

// What is worth a warning, and what a failure.
const (
	skewWarn         = 250 * time.Millisecond // between the clocks of the nodes
	skewFail         = time.Second
	freeWarnPercent  = 10
	freeFailPercent  = 3
	freeWarnBytes    = 2 << 30
	freeFailBytes    = 256 << 20
	writeWarn        = 100 * time.Millisecond // for one block to be on the disk
	writeFail        = time.Second
	filesWarn        = 8192 // open files a process may have
	filesFail        = 1024
	memoryWarn       = 15 // percent that are left
	memoryFail       = 5
	certificateWarn  = 30 * 24 * time.Hour
	portWarn         = 200 * time.Millisecond // to connect to one's own port
	oldestKernel     = 4.19
	groupReads       = 0o007 // bits of a mode nobody else should have
	lateShare        = 4     // of the time after which the peer takes over
	bytesPerMebibyte = 1 << 20
)

// result puts a check together; the advice is for what is not ok.
func result(name, state string, value float64, unit, text, advice string) api.Check {
	c := api.Check{Name: name, State: state, Value: value, Unit: unit, Text: text}
	if state != api.CheckOK {
		c.Advice = advice
	}
	return c
}

// above judges a value of which less is better.
func above[T int | float64 | time.Duration](v, warn, fail T) string {
	switch {
	case v >= fail:
		return api.CheckFail
	case v >= warn:
		return api.CheckWarn
	}
	return api.CheckOK
}

func below[T int | float64 | uint64](v, warn, fail T) string {
	switch {
	case v < fail:
		return api.CheckFail
	case v < warn:
		return api.CheckWarn
	}
	return api.CheckOK
}

func worse(x, y string) string {
	return api.Worst([]api.Check{{State: x}, {State: y}})
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Skew judges how far the clock of the peer is from ours.
func Skew(offset time.Duration, reachable bool) api.Check {
	const name = "clock_offset"
	if !reachable {
		return result(name, api.CheckWarn, 0, "ms", "the peer cannot be asked", "bring the other node back; until then nothing says whether the clocks agree")
	}
	return result(name, above(offset.Abs(), skewWarn, skewFail), ms(offset), "ms", "the peer's clock against this one",
		"have both machines follow the same time servers (chrony), one of them at the plant")
}

// Late judges how late programs get their turn; take is the silence after which the peer takes over.
func Late(worst, take time.Duration) api.Check {
	return result("turn_late", above(worst, take/lateShare, take/2), ms(worst), "ms", fmt.Sprintf("worst of the last 10 s; the peer takes over after %s of silence", take),
		"give the node a processor of its own, raise its priority (Nice=-10 in the unit), or lengthen redundancy.heartbeat")
}

// Certificate judges how long a certificate is valid.
func Certificate(what string, expires, now time.Time) api.Check {
	left := expires.Sub(now)
	state := api.CheckOK
	switch {
	case left <= 0:
		state = api.CheckFail
	case left < certificateWarn:
		state = api.CheckWarn
	}
	return result("certificate "+what, state, float64(int(left.Hours()))/24, "days", "expires "+expires.UTC().Format(time.DateOnly), "renew it: docs/link-security.md for the link, scadactl cert for the web and OPC UA")
}

// NoCertificate says that one is missing.
func NoCertificate(what, advice string) api.Check {
	return result("certificate "+what, api.CheckFail, 0, "days", "there is none", advice)
}

// Path judges a network path to the peer.
func Path(name string, up bool, rtt time.Duration, lost uint64) api.Check {
	state := api.CheckOK
	text := fmt.Sprintf("%d heartbeats lost since the start", lost)
	if !up {
		state, text = api.CheckFail, "the peer does not answer on it, "+text
	}
	return result("path "+name, state, ms(rtt), "ms", text, "look at the cable, the switch and the firewall (TCP, the port in nodes.*.links) of this path")
}

// port judges a try to connect to a port of this node.
func port(name, address string, took time.Duration, err error) api.Check {
	if err != nil {
		return result("port "+name, api.CheckFail, ms(took), "ms", fmt.Sprintf("%s: %s", address, err), "see the log: the server behind it should have ended the node")
	}
	return result("port "+name, above(took, portWarn, time.Hour), ms(took), "ms", address+" takes connections", "the machine is overloaded, or out of memory")
}

func diskFree(free, total uint64) api.Check {
	percent := 0.0
	if total > 0 {
		percent = 100 * float64(free) / float64(total)
	}
	state := worse(below(percent, freeWarnPercent, freeFailPercent), below(free, freeWarnBytes, freeFailBytes))
	return result("disk_free", state, percent, "%", fmt.Sprintf("%d MiB of %d MiB", free/bytesPerMebibyte, total/bytesPerMebibyte),
		"lower history.max_disk or history.raw, or give the data folder a larger disk")
}

func diskWrite(worst time.Duration, err error) api.Check {
	const advice = "look at the disk (smartctl, dmesg); a history wants a disk of its own that answers in milliseconds"
	if err != nil {
		return result("disk_write", api.CheckFail, 0, "ms", err.Error(), advice)
	}
	return result("disk_write", above(worst, writeWarn, writeFail), ms(worst), "ms", "worst of three blocks written and synced", advice)
}

func openFiles(limit, used uint64) api.Check {
	state := worse(below(limit, filesWarn, filesFail), below(float64(limit)-float64(used), 100, 20))
	return result("limit_nofile", state, float64(limit), "files", fmt.Sprintf("%d open", used), "LimitNOFILE=65536 in the unit, or ulimit -n")
}

func priority(nice, rtprio int) api.Check {
	state, text := api.CheckOK, fmt.Sprintf("nice %d, real-time priority up to %d", nice, rtprio)
	if nice >= 0 && rtprio == 0 {
		state = api.CheckWarn
	}
	return result("limit_priority", state, float64(nice), "nice", text, "Nice=-10 in the unit: a busy neighbour must not look like a dead node")
}

func memory(availableMiB, totalMiB uint64, limited bool) api.Check {
	percent := 0.0
	if totalMiB > 0 {
		percent = 100 * float64(availableMiB) / float64(totalMiB)
	}
	of := "of the machine"
	if limited {
		of = "of what the unit or container may have"
	}
	return result("memory", below(percent, memoryWarn, memoryFail), percent, "%", fmt.Sprintf("%d MiB of %d MiB left, %s", availableMiB, totalMiB, of),
		"more memory, or fewer tags and applications; a node that swaps is late for its heartbeat")
}

func kernel(release string) api.Check {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return result("kernel", api.CheckWarn, 0, "version", release, "the version cannot be read")
	}
	v := float64(major) + float64(minor)/100
	state := api.CheckOK
	if v < oldestKernel {
		state = api.CheckWarn
	}
	return result("kernel", state, v, "version", release, "4.19 is the oldest this was made for: upgrade the system")
}

func zone(name string, err error) api.Check {
	if err != nil {
		return result("time_zone", api.CheckWarn, 0, "zones", err.Error(), "install the time zone data (Debian: tzdata)")
	}
	return result("time_zone", api.CheckOK, 1, "zones", "the data is there; this machine: "+name, "")
}

// folder judges who else may look into the data; owned says that it belongs to the user of the node.
func folder(dir string, mode uint32, owned bool, err error) api.Check {
	const name = "data_folder"
	const advice = "chown it to the user of the node and chmod 750 it"
	switch {
	case err != nil:
		return result(name, api.CheckFail, 0, "mode", err.Error(), advice)
	case mode&0o002 != 0:
		return result(name, api.CheckFail, octal(mode), "mode", fmt.Sprintf("%s has mode %04o: everybody may change it", dir, mode), advice)
	case mode&groupReads != 0:
		return result(name, api.CheckWarn, octal(mode), "mode", fmt.Sprintf("%s has mode %04o: everybody may read it", dir, mode), advice)
	case !owned:
		return result(name, api.CheckWarn, octal(mode), "mode", dir+" belongs to another user", advice)
	}
	return result(name, api.CheckOK, octal(mode), "mode", fmt.Sprintf("%s has mode %04o", dir, mode), "")
}

// octal is a mode as a number that reads like one: 750.
func octal(mode uint32) (v float64) {
	for place := 1.0; mode > 0; mode, place = mode/8, place*10 {
		v += float64(mode%8) * place
	}
	return v
}

func synchronised(yes bool, estimate time.Duration, err error) api.Check {
	const name = "clock_synchronised"
	switch {
	case err != nil:
		return result(name, api.CheckWarn, 0, "ms", err.Error(), "the kernel does not tell; look at chronyc tracking")
	case !yes:
		return result(name, api.CheckWarn, ms(estimate), "ms", "the kernel says: by nothing", "install and set up chrony on both machines")
	}
	return result(name, api.CheckOK, ms(estimate), "ms", "estimated error", "")
}
