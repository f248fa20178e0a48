// Command historybench measures the history: what recording costs in real time, and the archive beside other engines on
// the same samples.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "historybench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	tags := flag.Int("tags", 2000, "tags")
	hour := flag.Duration("live", 0, "record in real time for so long and report what it costs")
	outage := flag.Duration("backfill", 0, "make two archives equal after so long an outage, while both record")
	inTurn := flag.Bool("in-turn", false, "with -backfill: each archive lacks one half")
	dir := flag.String("dir", "", "with -backfill: keep the archives there; the first run makes them, the second exchanges")
	send := flag.Bool("export", false, "send an hour of samples to VictoriaMetrics by remote write")
	repeat := flag.Int("repeat", 10, "queries of each kind, times 20 for short ones")
	engines := flag.String("engines", "ours,victoriametrics,prometheus,influxdb", "what to compare")
	profile := flag.String("profile", "", "write a processor profile")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if *hour > 0 {
		return live(*tags, *hour)
	}
	if *send {
		return errors.Join(exportRate(*tags), tailCost(*tags))
	}
	if *outage > 0 {
		return backfill(*dir, *tags, *outage, *inTurn)
	}
	return compare(set{tags: *tags, day: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)}, *repeat, *engines)
}

// compare runs the engines one after the other and prints the table.
func compare(s set, repeat int, engines string) error {
	fmt.Printf("history: %d samples (%d tags for an hour, 100 of them for the day before it); load before: %s\n", s.samples(), s.tags, load())
	var results []result
	for name := range strings.SplitSeq(engines, ",") {
		r, installed, err := one(name, s, repeat)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case !installed:
			fmt.Printf("%s is not installed and left out\n", name)
		default:
			results = append(results, r)
		}
	}
	printTable(os.Stdout, results)
	fmt.Println("load after:", load())
	return nil
}

func one(name string, s set, repeat int) (r result, installed bool, err error) {
	switch name {
	case "ours":
		r, err = ours(s, repeat)
		return r, true, err
	case "prometheus":
		return prometheus(s, repeat)
	case "victoriametrics":
		return withKill(victoria(), s, repeat)
	case "influxdb":
		return withKill(influx(), s, repeat)
	}
	return r, false, fmt.Errorf("no such engine")
}

// killTicks is how many seconds of samples a peer gets before it is killed.
const killTicks = 20

func withKill(p peer, s set, repeat int) (result, bool, error) {
	r, installed, err := p.run(s, repeat)
	if err != nil || !installed {
		return r, installed, err
	}
	r.Lost, r.Recovery, err = p.killed(s, killTicks)
	return r, true, err
}

func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
