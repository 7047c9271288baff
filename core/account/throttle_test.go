package account

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"chancery/core/settings"
	"chancery/xmpp/jid"
)

var (
	home    = netip.MustParseAddr("192.0.2.1")
	faraway = netip.MustParseAddr("198.51.100.9")
	nobody  = netip.MustParseAddr("203.0.113.7")
)

func newThrottle() *Throttle { return NewThrottle(settings.Fixed(settings.Defaults())) }

func TestWaitsDoubleFromTheFourthAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for i, want := range []time.Duration{0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60} {
			if got := th.Wait(romeo, home); got != want*time.Second {
				t.Errorf("attempt %d waits %s, want %ds", i+1, got, want)
			}
			time.Sleep(th.Wait(romeo, home))
			if got := th.Wait(romeo, home); got != 0 {
				t.Errorf("attempt %d still waits %s", i+1, got)
			}
			th.Failed(romeo, home)
		}
		time.Sleep(throttleMemory)
		if got := th.Wait(romeo, home); got != 0 {
			t.Errorf("an hour later it waits %s", got)
		}
		th.Failed(romeo, home)
		if got := th.Wait(romeo, home); got != 0 {
			t.Errorf("an hour later the count was not at its beginning: %s", got)
		}
	})
}

func fail(th *Throttle, who jid.JID, from netip.Addr, n int) {
	for range n {
		th.Failed(who, from)
	}
}

func TestGuessesAreCountedByAccountAndByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		fail(th, romeo, faraway, 5)
		for _, c := range []struct {
			who  jid.JID
			from netip.Addr
			wait bool
		}{
			{romeo, faraway, true}, {romeo, nobody, true}, {juliet, faraway, true}, {juliet, nobody, false}, {jid.JID{}, faraway, true}, {jid.JID{}, nobody, false},
		} {
			if got := th.Wait(c.who, c.from); (got > 0) != c.wait {
				t.Errorf("%s from %s waits %s", c.who, c.from, got)
			}
		}
	})
}

func TestOthersDoNotKeepAUserOutAtHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		th.Succeeded(romeo, home)
		fail(th, romeo, faraway, 9) // somebody guesses
		fail(th, juliet, home, 9)   // and a neighbour has forgotten her password
		if got := th.Wait(romeo, home); got != 0 {
			t.Errorf("at home he waits %s", got)
		}
		if got := th.Wait(romeo, faraway); got == 0 {
			t.Error("the guesser does not wait")
		}
		fail(th, romeo, home, 4) // his own mistakes count
		if got := th.Wait(romeo, home); got != 2*time.Second {
			t.Errorf("after four mistakes he waits %s", got)
		}
		th.Succeeded(romeo, home)
		if got := th.Wait(romeo, home); got != 0 {
			t.Errorf("after success he waits %s", got)
		}
	})
}

func TestSuccessDoesNotBuyGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		mallory := jid.MustParse("mallory@a.example")
		for i := range 10 {
			th.Failed(jid.MustParse(fmt.Sprintf("victim%d@a.example", i)), faraway)
			th.Succeeded(mallory, faraway)
		}
		if got := th.Wait(juliet, faraway); got < 30*time.Second {
			t.Errorf("one good login between ten guesses: waits %s", got)
		}
	})
}

func TestAddressesOfOneSubscriberCountTogether(t *testing.T) {
	th := newThrottle()
	fail(th, romeo, netip.MustParseAddr("2001:db8:1:2::1"), 9)
	if th.Wait(juliet, netip.MustParseAddr("2001:db8:1:2:ffff::9")) == 0 {
		t.Error("another address of the same /64 does not wait")
	}
	if th.Wait(juliet, netip.MustParseAddr("2001:db8:1:3::1")) != 0 {
		t.Error("another /64 waits")
	}
	fail(th, romeo, netip.MustParseAddr("::ffff:192.0.2.1"), 9)
	if th.Wait(juliet, home) == 0 {
		t.Error("an IPv4 address in IPv6 clothes is another one")
	}
}

func TestThrottleMemoryIsBounded(t *testing.T) {
	th := newThrottle()
	for i := range 3 * throttled {
		b := [16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 16), byte(i >> 8), byte(i)}
		th.Failed(jid.JID{}, netip.AddrFrom16(b))
	}
	if n := th.addresses.Len(); n > throttled {
		t.Errorf("%d addresses are remembered", n)
	}
}
