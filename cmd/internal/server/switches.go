package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"scada/acquisition"
	"scada/alarms"
	"scada/history/journal"
	"scada/redundancy"
	"scada/redundancy/role"
	"scada/web/api"
)

const (
	switchesEvery = 200 * time.Millisecond
	// recordWithin is how long the record of a switch waits for the first values of the devices.
	recordWithin     = 15 * time.Second
	switchesFileMode = 0o600
)

// eventSwitchOver is what the record of a switch is filed under in the journal.
const eventSwitchOver = "switch-over"

// switches keeps the record of the newest switch of each area, over restarts, and writes the complete record of each switch
// to this node into the journal.
type switches struct {
	s    *Server
	path string

	mu      sync.Mutex
	last    map[string]api.Switch // by area
	devices map[string][]acquisition.DeviceFirstGood
	told    map[string]uint64 // terms whose record is in the journal, by area
}

// openSwitches reads the records an earlier process has left. Without them the next switch is the first.
func openSwitches(s *Server, dir string) *switches {
	w := &switches{
		s: s, path: filepath.Join(dir, "switches.json"), last: map[string]api.Switch{},
		devices: map[string][]acquisition.DeviceFirstGood{}, told: map[string]uint64{},
	}
	b, err := readStored(w.path, smallFile)
	if err == nil {
		err = json.Unmarshal(b, &w.last)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("The records of earlier switches cannot be read", "file", w.path, "error", err)
		w.last = map[string]api.Switch{}
	}
	return w
}

// firstGood notes when each device of an area that has just been activated had its first values.
func (w *switches) firstGood(area string, f acquisition.FirstGood) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.devices[area] = f.Devices
}

// run looks for new records until ctx ends, and then once more.
func (w *switches) run(ctx context.Context) error {
	tick := time.NewTicker(switchesEvery)
	defer tick.Stop()
	for ending := false; !ending; {
		select {
		case <-ctx.Done():
			ending = true
		case <-tick.C:
		}
		w.look(w.s.pair.Status())
	}
	return nil
}

// look takes over what the pair knows and tells what is complete.
func (w *switches) look(st redundancy.Status) {
	changed := false
	for _, a := range st.Areas {
		if sw := a.Switch; sw != nil && sw.Kind != role.Start {
			changed = w.own(sw) || changed
		}
	}
	if sw := st.LastSwitch; sw != nil && sw.Kind != role.Start && sw.To != w.s.nodeName {
		changed = w.keep(switchJSON(sw)) || changed
	}
	if changed {
		w.save()
	}
}

// own takes over the record of a switch to this node when it is complete.
func (w *switches) own(sw *redundancy.Switch) bool {
	w.mu.Lock()
	done := w.told[sw.Area] >= sw.Epoch
	devices := w.devices[sw.Area]
	w.mu.Unlock()
	if done || sw.FirstValue == 0 && time.Since(sw.At) < recordWithin {
		return false
	}
	j := switchJSON(sw)
	for _, d := range devices {
		first := api.SwitchDevice{Device: d.Device}
		if d.Err != nil {
			first.Error = d.Err.Error()
		} else {
			first.FirstValueMs = max(d.At.Sub(sw.At).Milliseconds(), 0)
		}
		j.Devices = append(j.Devices, first)
	}
	w.mu.Lock()
	w.told[sw.Area] = sw.Epoch
	w.mu.Unlock()
	e := w.s.newEntry(journal.ClassRole, eventSwitchOver, sw.Area, w.s.nodeName, alarms.System, switchText(j))
	e.Epoch, e.Old, e.New, e.Result = sw.Epoch, sw.From, sw.To, j.Kind
	w.s.areas[sw.Area].record(e)
	return w.keep(j)
}

// keep remembers a record if it is news of its area.
func (w *switches) keep(j api.Switch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, known := w.last[j.Area]
	if known && (old.Epoch > j.Epoch || old.Epoch == j.Epoch && (len(old.Devices) > 0 || old.FirstValueMs >= j.FirstValueMs)) {
		return false
	}
	w.last[j.Area] = j
	return true
}

// newest returns the newest record of each area, in order of the areas: what is kept, or newer and not complete yet.
func (w *switches) newest(st redundancy.Status) []api.Switch {
	now := map[string]api.Switch{}
	add := func(sw *redundancy.Switch) {
		if sw != nil && sw.Kind != role.Start && sw.Epoch > now[sw.Area].Epoch {
			now[sw.Area] = switchJSON(sw)
		}
	}
	for _, a := range st.Areas {
		add(a.Switch)
	}
	add(st.LastSwitch)
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []api.Switch
	for _, name := range w.s.areaNames {
		j, kept := w.last[name]
		if fresh, ok := now[name]; ok && (!kept || fresh.Epoch > j.Epoch || fresh.Epoch == j.Epoch && len(j.Devices) == 0) {
			j, kept = fresh, true
		}
		if kept {
			list = append(list, j)
		}
	}
	return list
}

// save replaces the file; a torn one would only cost the view of the past.
func (w *switches) save() {
	w.mu.Lock()
	b, err := json.Marshal(w.last)
	w.mu.Unlock()
	if err == nil {
		err = os.WriteFile(w.path+".new", b, switchesFileMode)
	}
	if err == nil {
		err = os.Rename(w.path+".new", w.path)
	}
	if err != nil {
		w.s.log.Warn("The records of switches cannot be stored", "file", w.path, "error", err)
	}
}

func switchJSON(s *redundancy.Switch) api.Switch {
	return api.Switch{
		Area: s.Area, From: s.From, To: s.To, At: s.At.UTC(), Kind: s.Kind.String(), Reason: s.Reason, Epoch: s.Epoch,
		DetectMs: s.Detect.Milliseconds(), ActivateMs: s.Activate.Milliseconds(), FirstValueMs: s.FirstValue.Milliseconds(),
		MissedSlots: int64(s.MissedSlots), Duplicates: int64(s.Duplicates),
	}
}

// switchText is the record in a line, for the journal.
func switchText(j api.Switch) string {
	var devices []string
	for _, d := range j.Devices {
		text := fmt.Sprintf("%s %d ms", d.Device, d.FirstValueMs)
		if d.Error != "" {
			text = d.Device + " none"
		}
		devices = append(devices, text)
	}
	text := fmt.Sprintf("%s; detected in %d ms, active in %d ms, first values of every device in %d ms, %d slots missed, %d duplicates",
		j.Reason, j.DetectMs, j.ActivateMs, j.FirstValueMs, j.MissedSlots, j.Duplicates)
	if len(devices) > 0 {
		text += " (" + strings.Join(devices, ", ") + ")"
	}
	return joinText(text, "")
}
