package registration

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewcomersAreCountedByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNewcomers()
		admit := func(addr string, limit int, want bool) func() {
			t.Helper()
			release, ok := w.admit(netip.MustParseAddr(addr), limit)
			if ok != want {
				t.Errorf("%s is admitted: %v, want %v", addr, ok, want)
			}
			return release
		}
		admit("192.0.2.1", 2, true)
		release := admit("192.0.2.1", 2, true)
		admit("192.0.2.1", 2, false)
		admit("::ffff:192.0.2.1", 2, false) // the same host
		admit("192.0.2.2", 2, true)
		admit("2001:db8::1", 1, true)
		admit("2001:db8::2", 1, false) // the same network
		admit("2001:db8:0:1::1", 1, true)
		release()
		admit("192.0.2.1", 2, true)
		admit("192.0.2.1", 2, false)
		admit("192.0.2.1", 0, true) // no limit
		time.Sleep(window)
		admit("192.0.2.1", 2, true)
	})
}

func TestNewcomersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNewcomers()
		a := netip.MustParseAddr("10.0.0.0")
		for range maxTracked {
			if _, ok := w.admit(a, 1); !ok {
				t.Fatalf("%v is refused", a)
			}
			a = a.Next()
		}
		if _, ok := w.admit(a, 1); ok {
			t.Error("one more is tracked")
		}
		time.Sleep(window)
		if _, ok := w.admit(a, 1); !ok || len(w.seen) != 1 {
			t.Errorf("after an hour: %v, %d are remembered", ok, len(w.seen))
		}
	})
}
