package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"

	"scada/web/api"
)

// Bounds of what a support bundle holds.
const (
	bundleEntries = 1000 // newest entries of the journal
	bundleAlarms  = 1000 // alarms that are not normal
)

// Bundle implements [web.Diagnosis]: the state of the node as files, each without the secrets of the configuration.
func (s *Server) Bundle(ctx context.Context, w io.Writer) error {
	secrets, err := redact(s.cfg.Path)
	if err != nil {
		secrets.text = "# " + err.Error() + "\n"
	}
	packed := gzip.NewWriter(w)
	b := &bundleWriter{tar: tar.NewWriter(packed), secrets: secrets, at: time.Now()}
	b.add("plant.yaml", []byte(secrets.text))
	b.addJSON("node.json", s.about())
	b.addJSON("role.json", backend{s}.Role())
	b.addJSON("checks.json", s.Checks(ctx))
	b.addJSON("devices.json", api.Devices{Devices: backend{s}.Devices()})
	b.addJSON("apps.json", api.Apps{Apps: backend{s}.Apps()})
	b.addJSON("notifications.json", backend{s}.Notifications())
	list, err := backend{s}.Alarms(ctx, api.AlarmFilter{Limit: bundleAlarms})
	b.note(err)
	b.addJSON("alarms.json", list)
	entries, err := backend{s}.Journal(ctx, api.JournalQuery{Limit: bundleEntries})
	b.note(err)
	b.addJSON("journal.json", entries)
	b.addMetrics(s)
	b.addGoroutines()
	if s.logTail != nil {
		b.add("log.txt", s.logTail.Bytes())
	}
	b.note(b.tar.Close())
	b.note(packed.Close())
	if b.err != nil {
		return fmt.Errorf("support bundle of node %s: %w", s.nodeName, b.err)
	}
	s.log.Info("A support bundle was taken", "files", b.files)
	return nil
}

// about is the node and the program it runs.
func (s *Server) about() any {
	type about struct {
		api.NodeInfo
		OS         string            `json:"os"`
		CPUs       int               `json:"cpus"`
		GoMaxProcs int               `json:"go_max_procs"`
		Goroutines int               `json:"goroutines"`
		HeapBytes  uint64            `json:"heap_bytes"`
		Modules    map[string]string `json:"modules"`
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	a := about{NodeInfo: backend{s}.Node(), OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), GoMaxProcs: runtime.GOMAXPROCS(0),
		Goroutines: runtime.NumGoroutine(), HeapBytes: m.HeapAlloc, Modules: map[string]string{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			a.Modules[d.Path] = d.Version
		}
	}
	return a
}

// bundleWriter writes the archive. The first error stays; nothing is written after it.
type bundleWriter struct {
	tar     *tar.Writer
	secrets *redaction
	at      time.Time
	files   int
	err     error
}

func (b *bundleWriter) note(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *bundleWriter) add(name string, content []byte) {
	if b.err != nil {
		return
	}
	text := b.secrets.clean(string(content))
	err := b.tar.WriteHeader(&tar.Header{Name: "scada-bundle/" + name, Size: int64(len(text)), Mode: 0o600, ModTime: b.at, Typeflag: tar.TypeReg})
	if err == nil {
		_, err = io.Copy(b.tar, strings.NewReader(text))
	}
	b.files++
	b.note(err)
}

func (b *bundleWriter) addJSON(name string, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	b.note(err)
	b.add(name, text)
}

func (b *bundleWriter) addMetrics(s *Server) {
	families, err := s.web.Registry().Gather()
	b.note(err)
	var out bytes.Buffer
	e := expfmt.NewEncoder(&out, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		b.note(e.Encode(f))
	}
	b.add("metrics.txt", out.Bytes())
}

func (b *bundleWriter) addGoroutines() {
	var out bytes.Buffer
	b.note(pprof.Lookup("goroutine").WriteTo(&out, 1))
	b.add("goroutines.txt", out.Bytes())
}
