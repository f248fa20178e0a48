package server

import (
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"scada/history/export"
	"scada/web/api"
)

// exportView is what is known of a target here.
type exportView struct {
	c     export.Config
	state export.State
	now   export.Status
}

func (x *exporter) view() []exportView {
	var out []exportView
	for _, c := range x.s.now().cfg.History.Export {
		v := exportView{c: c, state: x.glance(c.Name)}
		x.mu.Lock()
		if t := x.targets[c.Name]; t != nil {
			v.now = t.Status()
		}
		x.mu.Unlock()
		out = append(out, v)
	}
	return out
}

// exporter is that of the node.
func (s *Server) exporter() *exporter { return s.areas[s.areaNames[0]].export }

// historyTargets is what people are shown.
func (s *Server) historyTargets() api.HistoryTargets {
	out := api.HistoryTargets{Node: s.nodeName, Targets: []api.HistoryTarget{}}
	for _, v := range s.exporter().view() {
		t := api.HistoryTarget{
			Name: v.c.Name, Address: hostOf(v.c.URL), Sending: v.now.Sending, Tags: v.now.Tags, SentTo: moment(v.now.SentTo), CountsTo: instant(v.state.Time), Windows: v.now.Windows,
			WaitingSamples: v.now.Waiting, SentSamples: v.state.Totals.Sent, RefusedSamples: v.state.Totals.Refused, ParkedSamples: v.state.Totals.Parked,
			MissedSamples: v.state.Totals.Missed, Rewinds: v.now.Rewinds, AnsweredAt: moment(v.now.AnsweredAt), Failed: v.now.Failed, FailedAt: moment(v.now.FailedAt),
			Error: v.now.Error, Retry: moment(v.now.Retry),
		}
		for _, p := range v.state.Parked {
			t.Parked = append(t.Parked, api.ParkedSamples{
				At: time.Unix(0, p.At).UTC(), Tag: p.Tag, Tags: p.Tags, From: time.Unix(0, p.From).UTC(), To: time.Unix(0, p.To).UTC(), Samples: p.Samples, Status: p.Status, Reason: p.Reason,
			})
		}
		out.Targets = append(out.Targets, t)
	}
	return out
}

// hostOf returns an address without its path, which may be a secret.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// exportFaults says what is wrong with the exports. None of it is a reason for the other node to take over: it would reach the
// same engine.
func (s *Server) exportFaults(fault func(weight int, format string, args ...any)) {
	for _, v := range s.exporter().view() {
		if v.now.Failed > 0 && time.Since(v.now.FailedAt) > exportPatience {
			fault(0, "export target %s takes no samples since %s: %s", v.c.Name, v.now.FailedAt.UTC().Format(time.RFC3339), v.now.Error)
		}
		if n := len(v.state.Parked); n > 0 && time.Since(time.Unix(0, v.state.Parked[n-1].At)) < exportMemory {
			p := v.state.Parked[n-1]
			fault(0, "export target %s has called samples wrong, they are left out, %s: %s", v.c.Name, fmt.Sprintf("%d in all, the last of %s", v.state.Totals.Parked, p.Tag), p.Reason)
		}
	}
}

// exportCollector shows the exports to Prometheus.
type exportCollector struct {
	s                                                         *Server
	sent, refused, parked, missed, waiting, sentTo, failedTry *prometheus.Desc
}

func newExportCollector(s *Server) *exportCollector {
	d := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("scada_export_"+name, help, []string{"target"}, nil)
	}
	return &exportCollector{
		s:         s,
		sent:      d("sent_total", "Samples an engine has taken, those sent twice included."),
		refused:   d("refused_total", "Samples not sent because their value is beyond 1e15."),
		parked:    d("parked_total", "Samples an engine called wrong."),
		missed:    d("missed_total", "Samples that left the archive before they were sent."),
		waiting:   d("waiting_samples", "Samples in windows that are over and not sent, of all tags; where it is sent from."),
		sentTo:    d("sent_to_timestamp_seconds", "The engine was sent everything before this time, since 1970; where it is sent from."),
		failedTry: d("failed_tries", "Tries in a row that an engine has not taken; where it is sent from."),
	}
}

// Describe implements [prometheus.Collector].
func (c *exportCollector) Describe(ch chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, ch)
}

// Collect implements [prometheus.Collector].
func (c *exportCollector) Collect(ch chan<- prometheus.Metric) {
	for _, v := range c.s.exporter().view() {
		count := func(d *prometheus.Desc, n uint64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), v.c.Name)
		}
		gauge := func(d *prometheus.Desc, x float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x, v.c.Name)
		}
		count(c.sent, v.state.Totals.Sent)
		count(c.refused, v.state.Totals.Refused)
		count(c.parked, v.state.Totals.Parked)
		count(c.missed, v.state.Totals.Missed)
		if !v.now.Sending {
			continue
		}
		gauge(c.waiting, float64(v.now.Waiting))
		gauge(c.failedTry, float64(v.now.Failed))
		if !v.now.SentTo.IsZero() {
			gauge(c.sentTo, float64(v.now.SentTo.UnixNano())/1e9)
		}
	}
}
