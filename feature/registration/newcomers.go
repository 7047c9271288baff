package registration

import (
	"net/netip"
	"sync"
	"time"

	"chancery/base/subscriber"
)

const (
	window     = time.Hour
	maxTracked = 10_000 // addresses
)

// newcomers counts the accounts made from each address in the last hour. Full,
// it lets nobody in rather than forget whom it has counted.
type newcomers struct {
	mu   sync.Mutex
	seen map[netip.Addr]tally
}

type tally struct {
	n     int
	since time.Time
}

func newNewcomers() *newcomers { return &newcomers{seen: map[netip.Addr]tally{}} }

// admit counts an account about to be made; release takes it back when that
// fails. limit 0 is no limit.
func (w *newcomers) admit(from netip.Addr, limit int) (release func(), ok bool) {
	if limit == 0 {
		return func() {}, true
	}
	p, now := subscriber.Of(from), time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	t, known := w.seen[p]
	if known && now.Sub(t.since) >= window {
		t, known = tally{}, false
	}
	if !known {
		if len(w.seen) >= maxTracked && !w.sweep(now) {
			return nil, false
		}
		t.since = now
	}
	if t.n >= limit {
		return nil, false
	}
	t.n++
	w.seen[p] = t
	return func() { w.release(p) }, true
}

func (w *newcomers) release(p netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t, ok := w.seen[p]; ok && t.n > 0 {
		t.n--
		w.seen[p] = t
	}
}

// sweep forgets what is older than the window; false when nothing is. Called
// with mu held.
func (w *newcomers) sweep(now time.Time) bool {
	before := len(w.seen)
	for p, t := range w.seen {
		if now.Sub(t.since) >= window {
			delete(w.seen, p)
		}
	}
	return len(w.seen) < before
}
