package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"scada/redundancy/role"
)

// collector shows the state of the node to Prometheus. It asks when it is scraped: nothing is counted twice.
type collector struct {
	s *Server

	role, epoch, ready, score                *prometheus.Desc
	pathUp, pathRTT, pathLost                *prometheus.Desc
	lag, published, durable                  *prometheus.Desc
	samples, stored, lost, diskBytes, alarms *prometheus.Desc
	devices                                  deviceMetrics
}

func newCollector(s *Server) *collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("scada_"+name, help, labels, nil)
	}
	return &collector{
		s:         s,
		role:      d("role", "1 for the role this node has in the area.", "area", "role"),
		epoch:     d("epoch", "Term of the area.", "area"),
		ready:     d("failover_ready", "1 when the loss of either node would be survived."),
		score:     d("health_score", "Sum of the weights of what is wrong; 0 is healthy."),
		pathUp:    d("path_up", "1 when the network path to the other node answers.", "path"),
		pathRTT:   d("path_rtt_seconds", "Round trip of the heartbeat.", "path"),
		pathLost:  d("path_lost_total", "Heartbeats without an answer.", "path"),
		lag:       d("mirror_lag_seconds", "Age of the oldest record the standby has not applied.", "area"),
		published: d("mirror_applied_seq", "Position in the stream that is applied.", "area"),
		durable:   d("mirror_durable_seq", "Position in the stream that is on the standby's disk.", "area"),
		samples:   d("samples_total", "Samples acquired or mirrored.", "area"),
		stored:    d("history_appended_total", "Samples accepted by the history."),
		lost:      d("history_lost_total", "Samples the history could not record."),
		diskBytes: d("history_disk_bytes", "Size of the history on disk."),
		alarms:    d("alarms", "Alarm conditions by state.", "area", "state"),
		devices:   newDeviceMetrics(d),
	}
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	st := c.s.pair.Status()
	gauge(c.ready, bit(st.FailoverReady))
	gauge(c.score, float64(totalScore(st.Health)))
	for _, a := range st.Areas {
		for r := role.Starting; r.Valid(); r++ {
			gauge(c.role, bit(a.Role == r), a.Area, r.String())
		}
		gauge(c.epoch, float64(a.Epoch), a.Area)
		gauge(c.lag, a.Mirror.Lag.Seconds(), a.Area)
		gauge(c.published, float64(a.Mirror.AppliedSeq), a.Area)
		gauge(c.durable, float64(a.Mirror.DurableSeq), a.Area)
	}
	for _, p := range st.Paths {
		gauge(c.pathUp, bit(p.Up), p.Name)
		gauge(c.pathRTT, p.RTT.Seconds(), p.Name)
		count(c.pathLost, p.Lost, p.Name)
	}
	for _, name := range c.s.areaNames {
		c.area(c.s.areas[name], gauge, count)
	}
	h := c.s.store.Stats()
	count(c.stored, h.Appended)
	count(c.lost, h.Lost)
	gauge(c.diskBytes, float64(h.DiskBytes))
}

func (c *collector) area(a *area, gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64, ...string)) {
	a.mu.Lock()
	samples, states := a.samples, a.engine.Counts()
	a.mu.Unlock()
	count(c.samples, samples, a.name)
	for state, n := range states {
		gauge(c.alarms, float64(n), a.name, stateName(state))
	}
	if !a.isActive() {
		return
	}
	for _, d := range a.group.Status() {
		c.devices.collect(d, gauge, count)
	}
}

func bit(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
