package listen

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"chancery/base/subscriber"
	"chancery/core/settings"
)

func newGate(change func(*settings.Listen)) *Gate {
	s := settings.Defaults()
	if change != nil {
		change(&s.Listen)
	}
	g := NewGate(settings.Fixed(s), slog.New(slog.DiscardHandler))
	g.room = 0
	return g
}

func TestConnectionsAreCountedByNetwork(t *testing.T) {
	tests := []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:1:2::3", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"2001:db8:1:2::3", "2001:db8:1:3::3", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	}
	for _, test := range tests {
		a, b := netip.MustParseAddr(test.a), netip.MustParseAddr(test.b)
		if got := subscriber.Of(a) == subscriber.Of(b); got != test.same {
			t.Errorf("%v and %v: got %v", a, b, got)
		}
		g := newGate(func(l *settings.Listen) { l.PerAddress = 1 })
		if g.enter(a) != Welcome {
			t.Errorf("%v is not welcome", a)
		}
		if why := g.enter(b); (why == TooMany) != test.same {
			t.Errorf("%v after %v: %v", b, a, why)
		}
	}
}

func TestRateHasABurstAndAnAverage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(func(l *settings.Listen) { l.PerAddress, l.RatePerAddress, l.Burst = 0, 10, 5 })
		a := netip.MustParseAddr("192.0.2.1")
		try := func(n, want int) {
			t.Helper()
			got := 0
			for range n {
				if g.enter(a) == Welcome {
					got++
				}
			}
			if got != want {
				t.Errorf("%d of %d were welcome, want %d", got, n, want)
			}
		}
		try(20, 5) // the burst
		time.Sleep(100 * time.Millisecond)
		try(20, 1) // the average
		time.Sleep(time.Second)
		try(20, 5) // no more than the burst is saved up
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			try(3, 1)
		}
	})
}

func TestTotalLimit(t *testing.T) {
	g := newGate(func(l *settings.Listen) { l.Total = 3 })
	a := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, i}) }
	for i := range byte(3) {
		if g.enter(a(i)) != Welcome {
			t.Errorf("%d is not welcome", i)
		}
	}
	if why := g.enter(a(9)); why != Full {
		t.Errorf("got %v", why)
	}
	if why := g.enter(netip.Addr{}); why != Full {
		t.Errorf("a neighbour: got %v", why)
	}
	g.leave(a(1))
	if why := g.enter(a(9)); why != Welcome {
		t.Errorf("after one has left: got %v", why)
	}
	if g.room = 2; g.enter(a(8)) != Full {
		t.Error("more than the descriptors leave room for")
	}
}

func TestSomeDescriptorsAreKept(t *testing.T) {
	for _, test := range []struct{ descriptors, room int }{{0, 0}, {20, 0}, {256, 224}, {1024, 922}, {1 << 20, 1<<20 - 512}} {
		if got := room(test.descriptors); got != test.room {
			t.Errorf("%d descriptors leave room for %d, want %d", test.descriptors, got, test.room)
		}
	}
	if descriptors() < 16 {
		t.Errorf("this process may open %d files", descriptors())
	}
}

func TestChangedLimitHoldsAtOnce(t *testing.T) {
	s := settings.Defaults()
	s.Listen.PerAddress = 1
	g := NewGate(settings.Fixed(s), slog.New(slog.DiscardHandler))
	a := netip.MustParseAddr("192.0.2.1")
	g.enter(a)
	if g.enter(a) != TooMany {
		t.Error("two are welcome")
	}
	s.Listen.PerAddress = 2
	if g.enter(a) != Welcome {
		t.Error("the second is not welcome")
	}
}

// TestTableIsBoundedWhoeverKnocks sends a million connections from as many networks, each gone at once.
func TestTableIsBoundedWhoeverKnocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(nil)
		most := 0
		for i := range uint32(1_000_000) {
			var b [16]byte
			b[0] = 0x20
			binary.BigEndian.PutUint32(b[4:], i)
			a := netip.AddrFrom16(b)
			if g.enter(a) != Welcome {
				t.Fatalf("%v is not welcome", a)
			}
			g.leave(a)
			if i%100 == 0 {
				time.Sleep(time.Millisecond) // 100,000 a second
			}
			most = max(most, len(g.sources))
		}
		// An address is remembered for a sixteenth of a second, and the table may double before it is swept.
		if most > 3*100_000/16 {
			t.Errorf("%d addresses were remembered", most)
		}
		time.Sleep(time.Minute)
		for i := range 20_000 {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			g.enter(a)
			g.leave(a)
		}
		if len(g.sources) > 256 {
			t.Errorf("%d addresses are remembered a minute later", len(g.sources))
		}
	})
}

func BenchmarkGate(b *testing.B) {
	g := newGate(func(l *settings.Listen) { l.RatePerAddress = 0 })
	a := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		g.enter(a)
		g.leave(a)
	}
}
