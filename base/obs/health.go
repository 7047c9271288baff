package obs

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Check is one thing that must be true before a server takes work.
type Check struct {
	Name string // database, listeners
	Do   func(ctx context.Context) error
}

// Health answers /healthz and /readyz.
type Health struct {
	checks []Check

	mu    sync.Mutex
	asked time.Time // when the last answer was found
	last  Readiness
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // "ok", or what is wrong
}

const (
	checkTime = 2 * time.Second
	checkRest = time.Second // an answer is reused so long: whoever may ask cannot load the database
)

// NewHealth is ready when all checks are.
func NewHealth(checks ...Check) *Health { return &Health{checks: checks} }

// Ready runs the checks, or returns what they said less than a second ago.
func (h *Health) Ready(ctx context.Context) Readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.asked.IsZero() && time.Since(h.asked) < checkRest {
		return h.last
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	h.last = Readiness{Ready: true, Checks: make(map[string]string, len(h.checks))}
	for _, c := range h.checks {
		h.last.Checks[c.Name] = "ok"
		if err := c.Do(ctx); err != nil {
			h.last.Ready, h.last.Checks[c.Name] = false, err.Error()
		}
	}
	h.asked = time.Now()
	return h.last
}

// Mount adds /healthz, which answers 200 while the process lives, and /readyz, which answers 200 while it can take work
// and 503 otherwise.
func (h *Health) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		answer := h.Ready(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !answer.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}
