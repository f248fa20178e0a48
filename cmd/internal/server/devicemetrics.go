package server

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"scada/acquisition"
)

// deviceMetrics show what is measured of the devices this node polls.
type deviceMetrics struct {
	requests, timeouts, overruns, exceptions *prometheus.Desc
	late, malformed, reconnects, demotions   *prometheus.Desc
	writes, response, startLate, window      *prometheus.Desc
	blocks, unwanted                         *prometheus.Desc
}

func newDeviceMetrics(d func(name, help string, labels ...string) *prometheus.Desc) deviceMetrics {
	return deviceMetrics{
		requests:   d("device_requests_total", "Requests sent to the device.", "device"),
		timeouts:   d("device_timeouts_total", "Requests without an answer in time.", "device"),
		overruns:   d("device_overruns_total", "Poll slots missed.", "device"),
		exceptions: d("device_exceptions_total", "Answers that were an error of the device, by code.", "code", "device"),
		late:       d("device_late_total", "Answers after the time-out; they are not used.", "device"),
		malformed:  d("device_malformed_total", "Answers that did not fit their request, or with a wrong checksum.", "device"),
		reconnects: d("device_reconnects_total", "Connections made after the first.", "device"),
		demotions:  d("device_demotions_total", "Times the device fell silent and was only probed.", "device"),
		writes:     d("device_writes_total", "Writes sent to the device.", "device"),
		response:   d("device_response_seconds", "Time the device took for its last answer.", "device"),
		startLate:  d("device_start_late_seconds", "How long after its slot the last poll was sent.", "device"),
		window:     d("device_window", "Requests that may be in flight; 0 where that has no meaning.", "device"),
		blocks:     d("device_blocks", "Requests of a full scan.", "device"),
		unwanted:   d("device_unwanted_values", "Registers and bits of a full scan that are read although no tag is there.", "device"),
	}
}

func (m deviceMetrics) collect(d acquisition.DeviceStatus, gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64, ...string)) {
	n := d.Counters
	count(m.requests, n.Requests, d.Device)
	count(m.timeouts, n.Timeouts, d.Device)
	count(m.overruns, n.Overruns, d.Device)
	for code, times := range n.Exceptions {
		count(m.exceptions, times, strconv.Itoa(int(code)), d.Device)
	}
	count(m.late, n.Late, d.Device)
	count(m.malformed, n.Malformed, d.Device)
	count(m.reconnects, n.Reconnects, d.Device)
	count(m.demotions, n.Demotions, d.Device)
	count(m.writes, n.Writes, d.Device)
	gauge(m.response, d.Response.Seconds(), d.Device)
	gauge(m.startLate, d.Lateness.Seconds(), d.Device)
	gauge(m.window, float64(d.Window), d.Device)
	gauge(m.blocks, float64(d.Blocks), d.Device)
	gauge(m.unwanted, float64(d.Unwanted), d.Device)
}
