package main

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// screenSize is the room there is, in cells; zero: as much as it takes.
type screenSize struct{ width, height int }

// columns writes cells in columns of fixed width; the last takes what is left.
func columns(widths []int, cells ...string) string {
	var b strings.Builder
	for i, c := range cells {
		c = clean(c)
		if i < len(widths) {
			c = ansi.Truncate(c, widths[i], "…")
			c += strings.Repeat(" ", max(widths[i]-ansi.StringWidth(c), 0)) + " "
		}
		b.WriteString(c)
	}
	return strings.TrimRight(b.String(), " ")
}

// view draws the picture. What does not fit is left out from below, alarms first: who is active is never cut.
func (p picture) view(size screenSize) string {
	lines := p.head()
	lines = append(lines, p.nodeLines()...)
	best := p.best()
	if best != nil {
		lines = append(lines, p.deviceLines(best, size.height)...)
		lines = append(lines, alarmLines(best)...)
	}
	for i, l := range lines {
		if size.width > 0 {
			lines[i] = ansi.Truncate(l, size.width, "…")
		}
	}
	if size.height > 0 && len(lines) > size.height-1 {
		lines = lines[:max(size.height-1, 1)]
	}
	if size.height > 0 {
		lines = append(lines, "q quits")
		return strings.Join(lines, "\n")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (p picture) head() []string {
	best := p.best()
	if best == nil {
		return []string{"no server answers   " + p.At.UTC().Format("15:04:05") + " UTC", ""}
	}
	line := fmt.Sprintf("%s   %s UTC   %.0f records/s   %d alarms", clean(best.Node.Project), p.At.UTC().Format("15:04:05"), p.Records, best.Alarms.Total)
	second := "ready: the loss of either node would be survived"
	var why []string
	for _, n := range best.Pair.Nodes {
		for _, w := range n.NotReady {
			why = append(why, n.Node+": "+w)
		}
	}
	if len(why) > 0 {
		second = "NOT READY: " + clean(strings.Join(why, "; "))
	}
	return []string{line, second, ""}
}

var nodeColumns = []int{6, 34, 6, 6, 8, 12, 28}

func (p picture) nodeLines() []string {
	lines := []string{columns(nodeColumns, "NODE", "ROLES", "EPOCH", "SCORE", "LAG", "BACK-FILL", "PATHS", "SERVER")}
	for i := range p.Readings {
		r := &p.Readings[i]
		if r.Error != "" {
			lines = append(lines, columns(nodeColumns, "?", "does not answer", "", "", "", "", "", r.Server+": "+r.Error))
			continue
		}
		n, _ := r.Pair.Find(r.Node.Node)
		var roles, paths []string
		epoch := uint64(0)
		for _, a := range n.Areas {
			roles = append(roles, a.Area+" "+strings.ToUpper(a.Role))
			epoch = max(epoch, a.Epoch)
		}
		for _, w := range n.Paths {
			if w.Up {
				paths = append(paths, fmt.Sprintf("%s %.1f ms", w.Name, w.RTTms))
			} else {
				paths = append(paths, w.Name+" DOWN")
			}
		}
		lines = append(lines, columns(nodeColumns, n.Node, strings.Join(roles, ", "), fmt.Sprint(epoch), fmt.Sprint(n.Score),
			fmt.Sprintf("%d ms", n.Mirror.LagMs), fmt.Sprint(n.Backfill.Remaining), strings.Join(paths, ", "), r.Server))
	}
	return append(lines, "")
}

var deviceColumns = []int{20, 13, 10, 10, 9, 9, 9}

// deviceLines shows what is wrong first, and leaves at least a third of the screen to the alarms.
func (p picture) deviceLines(r *reading, height int) []string {
	most := len(r.Devices)
	if height > 0 {
		most = min(most, max(height/3, 3))
	}
	lines := []string{columns(deviceColumns, "DEVICE", "STATE", "REQUESTS/S", "LATENCY", "TIMEOUTS", "ERRORS", "OVERRUNS", "LAST ERROR")}
	shown := 0
	for _, well := range []bool{false, true} {
		for _, d := range r.Devices {
			if (d.State == "connected") != well || shown == most {
				continue
			}
			shown++
			rate := "-"
			if v, ok := p.Requests[d.Name]; ok {
				rate = fmt.Sprintf("%.1f", v)
			}
			lines = append(lines, columns(deviceColumns, d.Name, d.State, rate, fmt.Sprintf("%.1f ms", d.LatencyMs), fmt.Sprint(d.Timeouts),
				fmt.Sprint(d.Errors), fmt.Sprint(d.Overruns), d.LastError))
		}
	}
	if hidden := len(r.Devices) - shown; hidden > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", hidden))
	}
	return append(lines, "")
}

var alarmColumns = []int{3, 8, 6, 24, 14}

func alarmLines(r *reading) []string {
	if len(r.Alarms.Alarms) == 0 {
		return []string{"no alarms"}
	}
	lines := []string{columns(alarmColumns, "PRI", "STATE", "LEVEL", "ALARM", "VALUE", "MESSAGE")}
	for _, a := range r.Alarms.Alarms {
		lines = append(lines, columns(alarmColumns, fmt.Sprint(a.Priority), a.State, a.Level, a.ID, strings.TrimSpace(text(a.Value)+" "+a.Unit), a.Message))
	}
	return lines
}

// table is the picture for scripts: a row for each server and area.
func (p picture) table() table {
	t := table{value: p, header: []string{"server", "node", "area", "role", "epoch", "score", "lag_ms", "backfill", "alarms", "error"}}
	for _, r := range p.Readings {
		n, ok := r.Pair.Find(r.Node.Node)
		if !ok || r.Error != "" {
			t.add(r.Server, "", "", "", "", "", "", "", "", r.Error)
			continue
		}
		for _, a := range n.Areas {
			t.add(r.Server, n.Node, a.Area, a.Role, fmt.Sprint(a.Epoch), fmt.Sprint(n.Score), fmt.Sprint(n.Mirror.LagMs), fmt.Sprint(n.Backfill.Remaining),
				fmt.Sprint(r.Alarms.Total), "")
		}
	}
	return t
}
