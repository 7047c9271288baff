package listen

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"chancery/base/subscriber"
	"chancery/core/settings"
)

// Refusal says why a connection was not taken.
type Refusal int

// The reasons, in the order of Stats.Refused.
const (
	Welcome  Refusal = iota
	TooMany          // from this address at the same time
	TooFast          // from this address in this second
	Full             // altogether
	BadProxy         // the PROXY header is missing, wrong, or late
	NotTLS           // plain, where only TLS is taken
	refusals = iota
)

// String is the word for metrics and logs.
func (r Refusal) String() string {
	return [refusals]string{"welcome", "address-full", "address-rate", "full", "bad-proxy", "not-tls"}[r]
}

// Gate counts connections for all listeners of a node: altogether and by address, IPv4 by /32 and IPv6 by /64. The limits
// are the live settings listen.*; a changed one holds for the next connection.
type Gate struct {
	live  *settings.Live
	log   *slog.Logger
	start time.Time // times below are nanoseconds since then, on the monotonic clock
	room  int       // connections that the file descriptors of the process leave room for; 0 is not known

	panics atomic.Int64

	mu      sync.Mutex
	open    int
	taken   int64
	refused [refusals]int64
	told    [refusals]int64 // when the log was told last
	sources map[netip.Addr]source
	swept   int // arrivals since the last sweep
}

// source is an address from which there are, or lately were, connections.
type source struct {
	open int
	due  int64 // when its allowance is whole again (the theoretical arrival time of the generic cell rate algorithm)
}

// NewGate makes the gate of a node.
func NewGate(live *settings.Live, log *slog.Logger) *Gate {
	return &Gate{live: live, log: log, start: time.Now(), room: room(descriptors()), sources: map[netip.Addr]source{}}
}

// room keeps some descriptors for the database, logs and connections of our own making, so that a flood at the door does
// not make logins fail behind it.
func room(descriptors int) int {
	return max(descriptors-min(max(descriptors/10, 32), 512), 0)
}

// Stats is for metrics.
type Stats struct {
	Open      int   // connections now
	Addresses int   // addresses that are counted
	Taken     int64 // connections ever
	Refused   map[string]int64
	Panics    int64
}

// Stats looks at the gate.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Open: g.open, Addresses: len(g.sources), Taken: g.taken, Refused: map[string]int64{}, Panics: g.panics.Load()}
	for r := Welcome + 1; r < refusals; r++ {
		s.Refused[r.String()] = g.refused[r]
	}
	return s
}

// enter counts a connection from a, which may be no address. Whoever was welcome must leave.
func (g *Gate) enter(a netip.Addr) Refusal {
	limits := &g.live.Load().Listen
	now := g.now()
	g.mu.Lock()
	why := Welcome
	if limit := g.limit(limits); limit > 0 && g.open >= limit {
		why = Full
	} else if a.IsValid() {
		why = g.arrive(limits, a, now)
	}
	if why == Welcome {
		g.open++
		g.taken++
	}
	g.mu.Unlock()
	if why != Welcome {
		g.refuse(why, a)
	}
	return why
}

// claim counts a connection that has entered as nobody's under its address.
func (g *Gate) claim(a netip.Addr) Refusal {
	limits := &g.live.Load().Listen
	now := g.now()
	g.mu.Lock()
	why := g.arrive(limits, a, now)
	g.mu.Unlock()
	if why != Welcome {
		g.refuse(why, a)
	}
	return why
}

func (g *Gate) leave(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	if a.IsValid() {
		g.drop(a)
	}
}

// unclaim takes a claim back.
func (g *Gate) unclaim(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(a)
}

// drop is called with mu held.
func (g *Gate) drop(a netip.Addr) {
	a = subscriber.Of(a)
	s := g.sources[a]
	if s.open--; s.open <= 0 && s.due <= g.now() {
		delete(g.sources, a)
		return
	}
	g.sources[a] = s
}

func (g *Gate) limit(l *settings.Listen) int {
	if l.Total > 0 && g.room > 0 {
		return min(l.Total, g.room)
	}
	return max(l.Total, g.room)
}

// arrive is called with mu held.
func (g *Gate) arrive(l *settings.Listen, a netip.Addr, now int64) Refusal {
	a = subscriber.Of(a)
	g.sweep(now)
	s := g.sources[a]
	if l.PerAddress > 0 && s.open >= l.PerAddress {
		return TooMany
	}
	if l.RatePerAddress > 0 {
		step := int64(time.Second) / int64(l.RatePerAddress)
		if s.due-now > step*int64(l.Burst-1) {
			return TooFast
		}
		s.due = max(s.due, now) + step
	}
	s.open++
	g.sources[a] = s
	return Welcome
}

// sweep forgets addresses that are not connected and owe nothing. Its cost is that of the arrivals since the last time,
// and an address stays for seconds after its last connection; so the table is as large as what is open and what has lately
// been accepted, whoever knocks.
func (g *Gate) sweep(now int64) {
	const least = 1024
	if g.swept++; g.swept < max(least, len(g.sources)/2) {
		return
	}
	g.swept = 0
	for a, s := range g.sources {
		if s.open <= 0 && s.due <= now {
			delete(g.sources, a)
		}
	}
}

// refuse counts, and tells the log once a minute for each reason, whatever the flood.
func (g *Gate) refuse(r Refusal, from netip.Addr) {
	const quiet = int64(time.Minute)
	now := g.now()
	g.mu.Lock()
	g.refused[r]++
	tell := g.told[r] == 0 || now-g.told[r] >= quiet
	if tell {
		g.told[r] = max(now, 1)
	}
	n := g.refused[r]
	g.mu.Unlock()
	if tell {
		g.log.Warn("connections are refused", "reason", r.String(), "peer", from, "so_far", n)
	}
}

func (g *Gate) now() int64 { return int64(time.Since(g.start)) }
