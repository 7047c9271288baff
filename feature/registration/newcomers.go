package registration

import (
	"net/netip"
	"sync"
	"time"
)

const (
	window     = time.Hour
	maxTracked = 10_000 // addresses
)

// newcomers counts the accounts made from each address in the last hour. Full,
// it lets nobody in rather than forget whom it has counted.
type newcomers struct {
	mu   sync.Mutex
	seen map[netip.Prefix]tally
}

type tally struct {
	n     int
	since time.Time
}

func newNewcomers() *newcomers { return &newcomers{seen: map[netip.Prefix]tally{}} }

// admit counts an account about to be made; release takes it back when that
// fails. limit 0 is no limit.
func (w *newcomers) admit(from netip.Addr, limit int) (release func(), ok bool) {
	if limit == 0 {
		return func() {}, true
	}
	p, now := network(from), time.Now()
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

func (w *newcomers) release(p netip.Prefix) {
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

// network is how addresses are counted: an IPv4 host, an IPv6 /64.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}
