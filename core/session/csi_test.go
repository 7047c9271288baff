package session

import (
	"fmt"
	"strings"
	"testing"

	"chancery/xmpp/stanza"
)

func TestWhatAnInactiveClientIsNotWokenFor(t *testing.T) {
	const ns = "http://jabber.org/protocol/chatstates"
	st := func(kind stanza.Kind, typ, inner string) *stanza.Stanza {
		s, err := stanza.Parse(fmt.Appendf(nil, "<%[1]s xmlns='jabber:client' type='%[2]s'>%[3]s</%[1]s>", kind, typ, inner))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	state, thread := "<active xmlns='"+ns+"'/>", "<thread>x</thread>"
	for _, c := range []struct {
		name string
		st   *stanza.Stanza
		want bool
	}{
		{"presence", &stanza.Stanza{Kind: stanza.Presence}, true},
		{"unavailable", st(stanza.Presence, "unavailable", ""), true},
		{"subscription request", st(stanza.Presence, "subscribe", ""), false},
		{"presence error", st(stanza.Presence, "error", ""), false},
		{"chat state", st(stanza.Message, "chat", state), true},
		{"chat state in a thread", st(stanza.Message, "chat", thread+state), true},
		{"chat state with the usual hint", st(stanza.Message, "chat", state+"<no-store xmlns='urn:xmpp:hints'/>"), true},
		{"chat state to be stored", st(stanza.Message, "chat", state+"<store xmlns='urn:xmpp:hints'/>"), false},
		{"chat state with a body", st(stanza.Message, "chat", "<body>x</body>"+state), false},
		{"chat state in a room", st(stanza.Message, "groupchat", state), false},
		{"a thread of somebody else", st(stanza.Message, "chat", "<thread xmlns='x'/>"), false},
		{"receipt", st(stanza.Message, "chat", "<received xmlns='urn:xmpp:receipts' id='1'/>"), false},
		{"empty message", st(stanza.Message, "chat", ""), false},
		{"error", st(stanza.Message, "error", state), false},
		{"iq", st(stanza.IQ, "get", "<x xmlns='y'/>"), false},
	} {
		if got := (&backlog{}).defers(c.st); got != c.want {
			t.Errorf("%s: deferred is %v", c.name, got)
		}
		if (*backlog)(nil).defers(c.st) {
			t.Errorf("%s: deferred for an active client", c.name)
		}
	}
}

func TestWhatWaitsGoesAheadOfWhatMatters(t *testing.T) {
	for _, resumable := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			s, wire := w.bind("phone")
			if resumable {
				if err := s.Enable(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				wire.take()
			}
			gets := func(want string) {
				t.Helper()
				if got := strings.TrimSuffix(strings.TrimPrefix(gist(wire.take()), "r "), " r"); got != want {
					t.Errorf("resumable %v: got %q, want %q", resumable, got, want)
				}
			}
			s.SetActive(false)
			s.SetActive(false)
			s.Send(presence("juliet@a.example/balcony", "p1", ""))
			s.Send(presence("nurse@a.example/kitchen", "p2", ""))
			s.Send(presence("juliet@a.example/balcony", "p3", "unavailable"))
			durable(s, typing("t1"))
			gets("")
			durable(s, chat("m1"))
			gets("p3 p2 t1 m1")
			durable(s, typing("t2"))
			durable(s, chat("m2"))
			gets("t2 m2")
			s.Send(presence("juliet@a.example/balcony", "p4", ""))
			gets("")
			s.SetActive(true)
			gets("p4")
			s.Send(presence("juliet@a.example/balcony", "p5", ""))
			gets("p5")
		})
	}
}

// A state that is being sent when a message comes stands before it, also while
// both wait for the disk.
func TestAChatStateDoesNotFallBehindItsMessage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		s.SetActive(false)
		state := s.Reserve(typing("t"), nil)
		said := s.Reserve(chat("m"), nil)
		if state.Durable() || !said.Durable() {
			t.Error("the wrong one has a row")
		}
		state.Settle(nil)
		said.Settle(nil)
		wire.gets(t, "t r m")
	})
}

func TestWhatWaitsIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.bind("phone")
		s.SetActive(false)
		for i := range maxDeferred {
			s.Send(presence(fmt.Sprintf("u%d@a.example/x", i), "", ""))
		}
		if got := wire.take(); got != "" {
			t.Error("woken early")
		}
		s.Send(presence("one@a.example/more", "", ""))
		if n := strings.Count(wire.take(), "<presence"); n != maxDeferred+1 {
			t.Error(n, "came")
		}
		big := presence("juliet@a.example/x", "", "")
		big.Payload = []byte("<status>" + strings.Repeat("x", maxDeferredBytes/2-50) + "</status>")
		s.Send(big)
		s.Send(big)
		if wire.take() != "" {
			t.Error("woken early")
		}
		other := *big
		other.From = romeo
		s.Send(&other)
		if wire.take() != "" {
			t.Error("woken early, with", s.csi.bytes)
		}
		s.Send(big)
		if wire.take() == "" {
			t.Error("more than the bound waits:", s.csi.bytes)
		}
	})
}

func TestNothingThatWaitedIsLostWithTheWire(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		s.SetActive(false)
		s.Send(presence("juliet@a.example/balcony", "p1", ""))
		s.Lost(wire)
		s.Send(presence("nurse@a.example/kitchen", "p2", "")) // while it is away
		s.Send(presence("juliet@a.example/balcony", "p3", ""))
		fresh := resume(t, s, 0)
		fresh.gets(t, "resumed0 p3 p2 r")
		s.Send(presence("juliet@a.example/balcony", "p4", ""))
		fresh.gets(t, "p4") // active again

		s.SetActive(false)
		s.Send(presence("juliet@a.example/balcony", "p5", ""))
		resume(t, s, 3).gets(t, "resumed0 p5 r") // while the old wire is there
	})
}
