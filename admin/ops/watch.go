package ops

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"chancery/base/obs"
	"chancery/core/session"
	"chancery/store"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// FollowLog returns the last lines of the log of at least this level, and a follower for those to come, which the caller closes.
func (o *Ops) FollowLog(ctx context.Context, by Actor, level slog.Level, last int) ([][]byte, *obs.Follower, error) {
	if err := o.allow(by, ReadLog, "log.follow"); err != nil {
		return nil, nil, err
	}
	if o.Tail == nil {
		return nil, nil, &Error{Internal, "this server keeps no log to follow"}
	}
	lines, f := o.Tail.Follow(level, last)
	return lines, f, nil
}

// Watch starts to show the stanzas of one account. Texts are hidden unless bodies is true, which is a right of its own; either
// way the audit has a row, because somebody is being watched. The caller closes the watch.
func (o *Ops) Watch(ctx context.Context, by Actor, user string, bodies bool) (*Watch, error) {
	j, err := bare(user)
	if err != nil {
		return nil, err
	}
	a := act{right: Trace, action: "trace", target: j.String()}
	if bodies {
		a.right, a.detail = TraceBodies, "with bodies"
	}
	if o.Traces == nil {
		return nil, &Error{Internal, "this server has no sessions to trace"}
	}
	err = o.do(ctx, by, a, func(tx store.Tx) error {
		_, err := o.account(ctx, tx, j)
		return err
	})
	if err != nil {
		return nil, err
	}
	return o.Traces.watch(j, bodies), nil
}

// Traces hands stanzas of sessions to those who watch them. While nobody does it costs sessions nothing.
type Traces struct {
	tap interface{ SetTap(*session.Tap) }

	mu      sync.Mutex
	watches map[*Watch]struct{}
	seen    atomic.Pointer[map[jid.JID]struct{}] // the bare addresses in watches
}

// NewTraces taps the sessions that share env.
func NewTraces(env interface{ SetTap(*session.Tap) }) *Traces {
	return &Traces{tap: env, watches: map[*Watch]struct{}{}}
}

// watching is the number of stanzas that may wait for one watch.
const watching = 512

// Watch is one administrator looking at one account.
type Watch struct {
	// C has the stanzas, in the order in which the server saw them.
	C <-chan Traced

	traces *Traces
	who    jid.JID
	bodies bool
	send   chan Traced
	missed atomic.Int64
}

// Traced is one stanza of a session. It is written out by whoever looks, not by the session.
type Traced struct {
	At     time.Time
	Who    jid.JID // the session
	In     bool    // from the client to the server
	Stanza *stanza.Stanza
	bodies bool
}

func (t *Traces) watch(who jid.JID, bodies bool) *Watch {
	w := &Watch{traces: t, who: who, bodies: bodies, send: make(chan Traced, watching)}
	w.C = w.send
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watches[w] = struct{}{}
	t.update()
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	w.traces.mu.Lock()
	defer w.traces.mu.Unlock()
	delete(w.traces.watches, w)
	w.traces.update()
}

// Missed is the number of stanzas that were not shown since it was last asked, because this watch did not keep up.
func (w *Watch) Missed() int { return int(w.missed.Swap(0)) }

// update tells the sessions who is watched. The caller holds mu.
func (t *Traces) update() {
	seen := make(map[jid.JID]struct{}, len(t.watches))
	for w := range t.watches {
		seen[w.who] = struct{}{}
	}
	t.seen.Store(&seen)
	if len(seen) == 0 {
		t.tap.SetTap(nil)
		return
	}
	t.tap.SetTap(&session.Tap{Sees: t.sees, Line: t.line})
}

func (t *Traces) sees(who jid.JID) bool {
	_, ok := (*t.seen.Load())[who.Bare()]
	return ok
}

// line is called by sessions, and never waits.
func (t *Traces) line(who jid.JID, in bool, s *stanza.Stanza) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for w := range t.watches {
		if w.who != who.Bare() {
			continue
		}
		select {
		case w.send <- Traced{now, who, in, s, w.bodies}:
		default:
			w.missed.Add(1)
		}
	}
}

// XML is the stanza as text; without the right to bodies, every text in it is replaced by its length.
func (t Traced) XML() string {
	xml := t.Stanza.Append(nil, "")
	if !t.bodies {
		xml = hideTexts(xml)
	}
	return string(xml)
}

// hideTexts replaces the character data of canonical XML, but for elements that only steer the protocol. Attributes stay:
// addresses and ids are what a trace is for.
func hideTexts(xml []byte) []byte {
	out := make([]byte, 0, len(xml))
	element := ""
	for i := 0; i < len(xml); {
		if xml[i] == '<' {
			end := tagEnd(xml, i)
			element = tagName(xml[i:end])
			out = append(out, xml[i:end]...)
			i = end
			continue
		}
		end := i
		for end < len(xml) && xml[end] != '<' {
			end++
		}
		if steers(element) {
			out = append(out, xml[i:end]...)
		} else {
			out = fmt.Appendf(out, "(%d bytes)", end-i)
		}
		i = end
	}
	return out
}

// tagEnd is the index behind the tag that begins at i. A > in an attribute value ends nothing.
func tagEnd(xml []byte, i int) int {
	quote := byte(0)
	for ; i < len(xml); i++ {
		switch c := xml[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return len(xml)
}

// tagName is the name of a start tag; "" for an end tag and an empty element, so that text behind them is hidden.
func tagName(tag []byte) string {
	if bytes.HasSuffix(tag, []byte("/>")) {
		return ""
	}
	for i := 1; i < len(tag); i++ {
		switch tag[i] {
		case ' ', '>', '/':
			return string(tag[1:i])
		}
	}
	return ""
}

// steers lists elements whose text is no content: presence (RFC 6121 §4.7.2), pages of results (XEP-0059).
func steers(element string) bool {
	switch element {
	case "show", "priority", "max", "first", "last", "count", "index", "before", "after":
		return true
	}
	return false
}
