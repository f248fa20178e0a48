package web

import (
	"slices"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics counts what the interface does. Labels come from the route table and from named codes: their number is bounded.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	frames   prometheus.Counter
	values   prometheus.Counter
	bytes    prometheus.Counter
	closed   *prometheus.CounterVec
	commands *prometheus.CounterVec
}

func newMetrics(reg *prometheus.Registry, s *Server) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scada_http_requests_total", Help: "Requests by route and status."}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "scada_http_request_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60}}, []string{"route"}),
		frames:   prometheus.NewCounter(prometheus.CounterOpts{Name: "scada_socket_frames_total", Help: "Data frames sent."}),
		values:   prometheus.NewCounter(prometheus.CounterOpts{Name: "scada_socket_values_total", Help: "Values sent in data frames."}),
		bytes:    prometheus.NewCounter(prometheus.CounterOpts{Name: "scada_socket_bytes_total", Help: "Bytes of messages sent."}),
		closed:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scada_socket_closed_total", Help: "Sockets ended, by close code."}, []string{"code"}),
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scada_socket_commands_total", Help: "Write commands by outcome."}, []string{"outcome"}),
	}
	reg.MustRegister(m.requests, m.duration, m.frames, m.values, m.bytes, m.closed, m.commands,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scada_sessions", Help: "Sessions signed in."}, func() float64 { return float64(s.sessions.len()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scada_socket_connections", Help: "Sockets open."}, func() float64 { return float64(s.hub.count()) }),
	)
	// What is counted from the start is seen from the start: a rate needs the zero before the first one.
	m.closed.WithLabelValues(strconv.Itoa(websocket.CloseNormalClosure))
	m.commands.WithLabelValues("done")
	m.commands.WithLabelValues("refused")
	return m
}

func (m *metrics) request(rt route, status int, took time.Duration) {
	if slices.Contains(rt.media, subprotocol) {
		return // a socket lasts for hours; it has metrics of its own
	}
	m.requests.WithLabelValues(rt.method, rt.pattern, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(rt.pattern).Observe(took.Seconds())
}
