package account

import (
	"net/netip"
	"time"

	"chancery/base/lru"
	"chancery/base/subscriber"
	"chancery/core/settings"
	"chancery/xmpp/jid"
)

// Throttle makes guessing slow. It counts failed logins for each account and for each address; from some number on every
// attempt has to wait, twice as long each time (settings: login). Who has logged in from an address before is counted by
// himself there: neither a stranger who guesses at his account nor a neighbour behind the same address keeps him out.
//
// It remembers in memory, the last 65,536 of each kind, for an hour.
type Throttle struct {
	settings  *settings.Live
	accounts  *lru.Cache[jid.JID, failures]
	addresses *lru.Cache[netip.Addr, failures]
	friends   *lru.Cache[pair, failures]
}

// pair is an account that has logged in from an address.
type pair struct {
	who  jid.JID
	from netip.Addr
}

type failures struct {
	n    int
	last time.Time
}

const (
	throttled      = 1 << 16
	throttleMemory = time.Hour
	firstDelay     = time.Second
)

// NewThrottle remembers nobody.
func NewThrottle(live *settings.Live) *Throttle {
	return &Throttle{
		settings:  live,
		accounts:  lru.New[jid.JID, failures](throttled),
		addresses: lru.New[netip.Addr, failures](throttled),
		friends:   lru.New[pair, failures](throttled),
	}
}

// Wait is how long an attempt has to wait before it is looked at; 0 when not at all. bare may be zero when it is not known yet.
func (t *Throttle) Wait(bare jid.JID, from netip.Addr) time.Duration {
	now := time.Now()
	from = subscriber.Of(from)
	if f, ok := t.friends.Get(pair{bare, from}); ok {
		return t.remaining(f, now)
	}
	byAccount, _ := t.accounts.Get(bare)
	byAddress, _ := t.addresses.Get(from)
	return max(t.remaining(byAccount, now), t.remaining(byAddress, now))
}

// Failed counts an attempt that failed.
func (t *Throttle) Failed(bare jid.JID, from netip.Addr) {
	now := time.Now()
	from = subscriber.Of(from)
	another := func(f failures) failures {
		if now.Sub(f.last) >= throttleMemory {
			f.n = 0
		}
		return failures{f.n + 1, now}
	}
	if p := (pair{bare, from}); t.isFriend(p) {
		t.friends.Update(p, another)
		return
	}
	if !bare.IsZero() {
		t.accounts.Update(bare, another)
	}
	t.addresses.Update(from, another)
}

// Succeeded forgets the failures of an account, and that it is at home at this address. The failures of the address stay: who
// has an account of his own must not be able to buy guesses at others.
func (t *Throttle) Succeeded(bare jid.JID, from netip.Addr) {
	t.friends.Put(pair{bare, subscriber.Of(from)}, failures{})
	t.accounts.Delete(bare)
}

func (t *Throttle) isFriend(p pair) bool {
	_, ok := t.friends.Get(p)
	return ok
}

func (t *Throttle) remaining(f failures, now time.Time) time.Duration {
	s := t.settings.Load().Login
	over := f.n - s.FailuresBeforeDelay
	if over < 0 || now.Sub(f.last) >= throttleMemory {
		return 0
	}
	delay := s.MaxDelay
	if over < 30 {
		delay = min(delay, firstDelay<<over)
	}
	return max(0, f.last.Add(delay).Sub(now))
}
