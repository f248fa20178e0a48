package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"scada/simulators/mill"
)

// peer is how an engine behind HTTP is fed and asked.
type peer struct {
	engine
	title     string
	tickBatch int // ticks of a request
	prepare   func(e *engine) error
	append    func(dst []byte, ticks [][]mill.Sample, id int) []byte // the samples of one tag in several ticks
	write     string                                                 // path
	flush     string                                                 // path
	settle    func(e *engine) error                                  // bring it to its smallest
	day       func(e *engine, id int, s set) (int, error)
	hour      func(e *engine, s set) (int, error)
	all       func(e *engine, s set) (int, error) // samples there are after a kill
}

// run feeds a peer the set and asks it.
func (p peer) run(s set, repeat int) (res result, installed bool, err error) {
	res = result{Name: p.title, Samples: s.samples()}
	e, ok, err := newEngine(p.engine)
	if !ok || err != nil {
		return res, false, err
	}
	defer e.close()
	if _, err := e.start(); err != nil {
		return res, true, err
	}
	if err := p.prepare(e); err != nil {
		return res, true, err
	}
	begin := time.Now()
	if err := p.feed(e, s, s.mill()); err != nil {
		return res, true, err
	}
	res.PerSecond = float64(res.Samples) / time.Since(begin).Seconds()
	res.PerCore = float64(res.Samples) / e.cpu().Seconds()
	res.RSS = e.rss()
	if p.flush != "" { // what is in memory yet
		if err := e.call("GET", p.flush, nil, nil); err != nil {
			return res, true, err
		}
	}
	res.Fresh = float64(allocated(e.dir)) / float64(res.Samples)
	if err := p.settle(e); err != nil {
		return res, true, err
	}
	res.Sealed = float64(allocated(e.dir)) / float64(res.Samples)
	res.Written = e.writtenKiB() * 1024 / float64(res.Samples)
	res.DayRaw, err = timed(2*repeat, func(i int) (int, error) { return p.day(e, i*7%mill.DeviceTags, s) })
	if err == nil {
		res.HourRaw, err = timed(max(2, repeat/3), func(int) (int, error) { return p.hour(e, s) })
	}
	return res, true, err
}

func (p peer) feed(e *engine, s set, m *mill.Mill) error {
	var pending [][]mill.Sample
	var body []byte
	send := func() error {
		body = body[:0]
		for id := range pending[0] {
			body = p.append(body, pending, id)
		}
		pending = pending[:0]
		return e.call("POST", p.write, body, nil)
	}
	_, err := s.each(m, func(tick []mill.Sample) error {
		if len(pending) > 0 && (len(pending) == p.tickBatch || len(pending[0]) != len(tick)) {
			if err := send(); err != nil {
				return err
			}
		}
		pending = append(pending, append([]mill.Sample(nil), tick...))
		return nil
	})
	if err == nil {
		err = send()
	}
	return err
}

// killed feeds ticks, one a request, kills it after the last acknowledgement, and counts what is there afterwards.
func (p peer) killed(s set, ticks int) (lost string, recovery time.Duration, err error) {
	e, ok, err := newEngine(p.engine)
	if !ok || err != nil {
		return "", 0, err
	}
	defer e.close()
	if _, err := e.start(); err != nil {
		return "", 0, err
	}
	if err := p.prepare(e); err != nil {
		return "", 0, err
	}
	m := s.mill()
	for range ticks {
		tick := [][]mill.Sample{m.Tick(s.tags)}
		var body []byte
		for id := range tick[0] {
			body = p.append(body, tick, id)
		}
		if err := e.call("POST", p.write, body, nil); err != nil {
			return "", 0, err
		}
	}
	e.kill()
	if recovery, err = e.start(); err != nil {
		return "", 0, err
	}
	got, err := p.all(e, s)
	return fmt.Sprintf("%d of %d", ticks*s.tags-got, ticks*s.tags), recovery, err
}

func victoria() peer {
	export := func(e *engine, match string, from, to time.Time, n *int) error {
		q := url.Values{"match[]": {match}, "start": {stamp(from)}, "end": {stamp(to.Add(-time.Millisecond))}}
		return e.call("GET", "/api/v1/export?"+q.Encode(), nil, func(r io.Reader) error {
			d := json.NewDecoder(r)
			for {
				var line struct{ Values []json.RawMessage }
				if err := d.Decode(&line); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				*n += len(line.Values)
			}
		})
	}
	return peer{
		engine: engine{name: "victoria-metrics", path: "/health", args: func(dir, address string) []string {
			return []string{"-storageDataPath=" + dir, "-httpListenAddr=" + address, "-retentionPeriod=100y", "-loggerLevel=ERROR", "-search.maxUniqueTimeseries=1000000", "-search.disableCache"}
		}},
		title: "VictoriaMetrics", tickBatch: 60, write: "/api/v1/import", flush: "/internal/force_flush",
		prepare: func(*engine) error { return nil },
		append: func(dst []byte, ticks [][]mill.Sample, id int) []byte {
			dst = fmt.Appendf(dst, `{"metric":{"__name__":"v","id":"%d","first":"%v"},"values":[`, id, id < 1000)
			for i, t := range ticks {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = strconv.AppendFloat(dst, t[id].Value, 'g', -1, 64)
			}
			dst = append(dst, `],"timestamps":[`...)
			for i, t := range ticks {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = strconv.AppendInt(dst, t[id].Millis, 10)
			}
			return append(dst, "]}\n"...)
		},
		settle: func(e *engine) error {
			if err := e.call("GET", "/internal/force_merge", nil, nil); err != nil {
				return err
			}
			return stable(e.dir)
		},
		day: func(e *engine, id int, s set) (n int, err error) {
			return n, export(e, fmt.Sprintf(`v{id="%d"}`, id), s.day, s.day.Add(24*time.Hour), &n)
		},
		hour: func(e *engine, s set) (int, error) { // the compressed blocks as they are: its fastest way
			from, to := s.hour()
			q := url.Values{"match[]": {`v{first="true"}`}, "start": {stamp(from)}, "end": {stamp(to.Add(-time.Millisecond))}}
			return 3_600_000, e.call("GET", "/api/v1/export/native?"+q.Encode(), nil, nil)
		},
		all: func(e *engine, s set) (n int, err error) {
			return n, export(e, "v", s.day.Add(-time.Hour), s.day.Add(24*time.Hour), &n)
		},
	}
}

func stamp(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func influx() peer {
	query := func(e *engine, q string, n *int) error {
		return e.call("GET", "/query?db=p&epoch=ms&chunked=true&q="+url.QueryEscape(q), nil, count(n, "],["))
	}
	return peer{
		engine: engine{name: "influxd", path: "/ping", args: func(dir, address string) []string {
			conf := filepath.Join(dir, "influxdb.conf")
			text := fmt.Sprintf("reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n[meta]\ndir = %q\n[data]\ndir = %q\nwal-dir = %q\nquery-log-enabled = false\nindex-version = \"tsi1\"\n"+
				"cache-snapshot-write-cold-duration = \"3s\"\ncompact-full-write-cold-duration = \"5s\"\nmax-series-per-database = 0\n[http]\nbind-address = %q\nlog-enabled = false\nmax-row-limit = 0\n[logging]\nlevel = \"error\"\n",
				filepath.Join(dir, "meta"), filepath.Join(dir, "data"), filepath.Join(dir, "wal"), address)
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				return nil
			}
			return []string{"-config", conf}
		}},
		title: "InfluxDB", tickBatch: 10, write: "/write?db=p&precision=ms",
		prepare: func(e *engine) error {
			return e.call("POST", "/query?q="+url.QueryEscape("CREATE DATABASE p"), nil, nil)
		},
		append: func(dst []byte, ticks [][]mill.Sample, id int) []byte {
			for _, t := range ticks {
				dst = fmt.Appendf(dst, "v,id=%d,first=%v v=", id, id < 1000)
				dst = strconv.AppendFloat(dst, t[id].Value, 'g', -1, 64)
				dst = append(strconv.AppendInt(append(dst, ' '), t[id].Millis, 10), '\n')
			}
			return dst
		},
		settle: func(e *engine) error { return stable(e.dir) },
		day: func(e *engine, id int, s set) (n int, err error) {
			return n, query(e, fmt.Sprintf("SELECT v FROM v WHERE id='%d' AND time >= %dms AND time < %dms", id, s.day.UnixMilli(), s.day.Add(24*time.Hour).UnixMilli()), &n)
		},
		hour: func(e *engine, s set) (n int, err error) {
			from, to := s.hour()
			return n, query(e, fmt.Sprintf("SELECT v FROM v WHERE first='true' AND time >= %dms AND time < %dms GROUP BY id", from.UnixMilli(), to.UnixMilli()), &n)
		},
		all: func(e *engine, s set) (int, error) {
			var out bytes.Buffer
			if err := e.call("GET", "/query?db=p&q="+url.QueryEscape("SELECT count(v) FROM v"), nil, func(r io.Reader) error { _, err := io.Copy(&out, r); return err }); err != nil {
				return 0, err
			}
			var a struct {
				Results []struct{ Series []struct{ Values [][]any } }
			}
			if err := json.Unmarshal(out.Bytes(), &a); err != nil || len(a.Results) == 0 || len(a.Results[0].Series) == 0 {
				return 0, fmt.Errorf("influx: %s: %w", out.Bytes(), err)
			}
			n, _ := a.Results[0].Series[0].Values[0][1].(float64)
			return int(n), nil
		},
	}
}

// stable waits until a folder's size does not change any more.
func stable(dir string) error {
	last, since := int64(-1), time.Now()
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(500 * time.Millisecond) {
		if n := allocated(dir); n != last {
			last, since = n, time.Now()
		} else if time.Since(since) > 8*time.Second {
			break
		}
	}
	return nil
}

// prometheus runs the program of the nested module, which the product does not depend on.
func prometheus(s set, repeat int) (result, bool, error) {
	var r result
	cmd := exec.Command("go", "run", ".", "-tags", strconv.Itoa(s.tags), "-repeat", strconv.Itoa(repeat))
	cmd.Dir = "cmd/internal/historybench/prometheus"
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, true, fmt.Errorf("prometheus: %w", err)
	}
	return r, true, json.Unmarshal(out, &r)
}
