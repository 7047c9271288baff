package route

import (
	"sync"
	"sync/atomic"

	"chancery/xmpp/stanza"
)

// Counters are read by the metrics.
type Counters struct {
	kinds   [stanza.IQ + 1]atomic.Uint64
	reached atomic.Uint64
	refusal sync.Map // condition → *atomic.Uint64
}

func (c *Counters) received(k stanza.Kind) { c.kinds[k].Add(1) }
func (c *Counters) delivered(n int)        { c.reached.Add(uint64(n)) }

func (c *Counters) refused(condition string) {
	n, ok := c.refusal.Load(condition)
	if !ok {
		n, _ = c.refusal.LoadOrStore(condition, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// Received counts stanzas of a kind from clients.
func (c *Counters) Received(k stanza.Kind) uint64 { return c.kinds[k].Load() }

// Delivered counts messages handed to sessions.
func (c *Counters) Delivered() uint64 { return c.reached.Load() }

// Refused calls f for every condition that was answered, with its count.
func (c *Counters) Refused(f func(condition string, n uint64)) {
	c.refusal.Range(func(k, v any) bool {
		f(k.(string), v.(*atomic.Uint64).Load())
		return true
	})
}
