package obs

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metric documents one figure. The list is in table.go; docs/metrics.md is made from it.
type Metric struct {
	Name   string   `json:"name"`
	Kind   Kind     `json:"kind"`
	Labels []string `json:"labels,omitempty"`
	Help   string   `json:"help"`
}

// Kind is how a figure behaves.
type Kind string

const (
	Counter Kind = "counter" // only grows while the process lives
	Gauge   Kind = "gauge"   // goes up and down
)

// Emit tells one figure, with the values of its labels in the order of the table.
type Emit func(name string, value float64, labels ...string)

// Metrics collects the figures of one node in a registry of its own. The packages that do the work keep their own
// counters and know nothing of this; app reads them in sources when somebody asks.
type Metrics struct {
	registry *prometheus.Registry
	descs    map[string]*prometheus.Desc
	kinds    map[string]prometheus.ValueType

	mu      sync.Mutex
	sources []func(Emit)
}

// NewMetrics has the figures of the Go runtime, of the process, and of the build.
func NewMetrics(b Build) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		descs:    map[string]*prometheus.Desc{},
		kinds:    map[string]prometheus.ValueType{},
	}
	for _, e := range Table() {
		m.describe(e)
	}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.Source(func(emit Emit) {
		emit("chancery_build_info", 1, b.Version, b.Commit, b.Go, b.FIPS, b.SQLite)
	})
	return m
}

func (m *Metrics) describe(e Metric) {
	m.kinds[e.Name] = prometheus.GaugeValue
	if e.Kind == Counter {
		m.kinds[e.Name] = prometheus.CounterValue
	}
	m.descs[e.Name] = prometheus.NewDesc(e.Name, e.Help, e.Labels, nil)
}

// Source is asked at each scrape. It must return soon and may be called from several goroutines. To tell a figure that is
// not in the table is a mistake of the program.
func (m *Metrics) Source(f func(Emit)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources = append(m.sources, f)
}

// Handler serves the figures in the formats of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Describe is for the registry: the figures come and go with their labels, so it is told nothing in advance.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect is for the registry: it asks every source.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	sources := slices.Clone(m.sources)
	m.mu.Unlock()
	emit := func(name string, value float64, labels ...string) {
		desc, ok := m.descs[name]
		if !ok {
			panic("obs: there is no figure " + name + " in the table")
		}
		metric, err := prometheus.NewConstMetric(desc, m.kinds[name], value, labels...)
		if err != nil {
			panic(fmt.Sprintf("obs: %s with labels %s: %v", name, strconv.Quote(fmt.Sprint(labels)), err))
		}
		out <- metric
	}
	for _, source := range sources {
		source(emit)
	}
}
