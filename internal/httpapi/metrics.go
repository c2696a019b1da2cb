package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are the API's own. Labels hold routes, never paths, so that their number is bounded.
type metrics struct {
	requests *prometheus.HistogramVec
	sockets  *prometheus.GaugeVec
}

func newMetrics(cfg Config) *metrics {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "vivarium_http_request_duration_seconds",
			Help:    "Time from a request's header to the end of its answer, WebSockets excluded.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}, []string{"route", "method", "code"}),
		sockets: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vivarium_sockets_open", Help: "Open WebSockets."}, []string{"kind"}),
	}
	cfg.Metrics.MustRegister(m.requests, m.sockets, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vivarium_sessions_live", Help: "Live sessions on this server."},
			func() float64 { return float64(cfg.Views.Count()) }))
	return m
}

func (m *metrics) request(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, printableMethod(method), strconv.Itoa(status)).Observe(took.Seconds())
}
