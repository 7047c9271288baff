package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"chancery/xmpp/stanza"
)

// A storm of logins leaves garbage as large as what lives, and stacks that
// handshakes have grown; without work the collector would not look at them for two
// minutes. So when it is quiet after work, memory goes back to the system:
// 22 → 15 to 16 KiB for an idle session of 2,000 (docs/performance.md).
const (
	lookEvery = 5 * time.Second
	quiet     = 500     // stanzas and streams between two looks
	worthIt   = 2 << 20 // bytes of garbage and of heap that is not used
)

// giveBack runs until ctx ends.
func (s *Server) giveBack(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	// Some is spare after every collection: rest is how much it was.
	for before, rest := s.work(), uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.work()
		if now-before < quiet && spare() > rest+worthIt {
			debug.FreeOSMemory()
			rest = spare()
		}
		before = now
	}
}

// work counts what makes garbage.
func (s *Server) work() uint64 {
	c := &s.Router.Count
	return c.Received(stanza.Message) + c.Received(stanza.Presence) + c.Received(stanza.IQ) + s.clients.Count.Streams.Load()
}

// spare is memory that the process has and does not need.
func spare() uint64 {
	m := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
	}
	metrics.Read(m)
	garbage := max(m[0].Value.Uint64(), m[1].Value.Uint64()) - m[1].Value.Uint64()
	return garbage + m[2].Value.Uint64() + m[3].Value.Uint64()
}
