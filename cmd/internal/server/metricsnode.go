package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"scada/cmd/internal/doctor"
)

// nodeCollector shows what the node knows of its machine without touching it: it is scraped every few seconds.
type nodeCollector struct {
	s *Server

	build, started, peer, offset, late, backfill, free, expiry, alive *prometheus.Desc
}

func newNodeCollector(s *Server) *nodeCollector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("scada_"+name, help, labels, nil)
	}
	return &nodeCollector{
		s:        s,
		build:    d("build_info", "Always 1; the labels say what runs.", "version", "config_digest"),
		started:  d("start_time_seconds", "When the node started, since 1970."),
		peer:     d("peer_reachable", "1 when the other node answers."),
		offset:   d("clock_offset_seconds", "Clock of the other node against this one."),
		late:     d("turn_late_seconds", "Worst delay of a turn of this process in the last ten seconds."),
		backfill: d("backfill_windows", "Windows of the past that are still to be compared or copied."),
		free:     d("disk_free_bytes", "Space left for the data folder."),
		expiry:   d("link_certificate_expiry_seconds", "When the link certificate of the node expires, since 1970.", "peer"),
		alive:    d("alive", "1 while the node makes progress; the service manager's watchdog goes by it."),
	}
}

// Describe implements [prometheus.Collector].
func (c *nodeCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements [prometheus.Collector].
func (c *nodeCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	st := c.s.pair.Status()
	gauge(c.build, 1, c.s.version, c.s.cfg.Digest)
	gauge(c.started, float64(c.s.started.Unix()))
	gauge(c.peer, bit(st.Peer.Reachable))
	gauge(c.offset, st.Peer.ClockOffset.Seconds())
	gauge(c.late, c.s.late.worst(time.Now()).Seconds())
	gauge(c.backfill, float64(c.s.backfill().Remaining))
	gauge(c.alive, bit(c.s.Alive() == nil))
	if free, err := doctor.Free(c.s.cfg.Nodes[c.s.nodeName].Data); err == nil {
		gauge(c.free, float64(free))
	}
	if c.s.link == nil {
		return
	}
	link := c.s.link.Status()
	gauge(c.expiry, float64(link.Own.Expires.Unix()), link.Own.Node)
	if n := len(link.Pins); n > 0 {
		gauge(c.expiry, float64(link.Pins[n-1].Expires.Unix()), link.Pins[n-1].Node)
	}
}
