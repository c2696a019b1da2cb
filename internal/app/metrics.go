package app

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"vivarium/internal/postgres"
)

// poolCollector shows the database's connections.
type poolCollector struct {
	db                              *postgres.DB
	connections, waits, waitSeconds *prometheus.Desc
}

func newPoolCollector(db *postgres.DB) *poolCollector {
	return &poolCollector{db: db,
		connections: prometheus.NewDesc("vivarium_database_connections", "Connections to the database.", []string{"state"}, nil),
		waits:       prometheus.NewDesc("vivarium_database_waits_total", "How often a connection had to be waited for.", nil, nil),
		waitSeconds: prometheus.NewDesc("vivarium_database_acquire_seconds_total", "Time spent getting a connection.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.connections
	to <- c.waits
	to <- c.waitSeconds
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(to chan<- prometheus.Metric) {
	stat := c.db.Stat()
	for state, of := range map[string]func(*pgxpool.Stat) int32{"acquired": (*pgxpool.Stat).AcquiredConns, "idle": (*pgxpool.Stat).IdleConns,
		"constructing": (*pgxpool.Stat).ConstructingConns, "max": (*pgxpool.Stat).MaxConns} {
		to <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, float64(of(stat)), state)
	}
	to <- prometheus.MustNewConstMetric(c.waits, prometheus.CounterValue, float64(stat.EmptyAcquireCount()))
	to <- prometheus.MustNewConstMetric(c.waitSeconds, prometheus.CounterValue, stat.AcquireDuration().Seconds())
}
