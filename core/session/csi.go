package session

import (
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// backlog is what an inactive client (XEP-0352) need not be woken for: the
// latest presence of each sender, and messages that say nothing lasting. All
// of it goes out before the next stanza that matters, so order is kept.
type backlog struct {
	items    []deferred
	presence map[jid.JID]int // index into items
	bytes    int
}

type deferred struct {
	st   *stanza.Stanza
	more []byte
}

func (d deferred) size() int { return len(d.st.Payload) + len(d.more) }

// maxDeferred and maxDeferredBytes bound what one inactive session may keep in
// memory; what is over them does not wait.
const maxDeferred, maxDeferredBytes = 500, 256 << 10

// defers tells whether st can wait. A nil backlog defers nothing.
func (b *backlog) defers(st *stanza.Stanza) bool {
	if b == nil || len(b.items) >= maxDeferred || b.bytes+len(st.Payload) > maxDeferredBytes {
		return false
	}
	switch st.Kind {
	case stanza.Presence:
		return st.Type == "" || st.Type == "unavailable"
	case stanza.Message:
		return st.Type != "error" && st.Type != "groupchat" && onlyStates(st.Parts)
	}
	return false
}

// onlyStates is true for chat states (XEP-0085) and nothing else.
func onlyStates(parts []elem.Part) bool {
	for i := range parts {
		switch p := &parts[i].Name; {
		case p.Space == "http://jabber.org/protocol/chatstates":
		case p.Space == stanza.NSClient && p.Local == "thread":
		case p.Space == "urn:xmpp:hints" && p.Local != "store":
		default:
			return false
		}
	}
	return len(parts) > 0
}

func (b *backlog) add(st *stanza.Stanza, more []byte) {
	d := deferred{st, more}
	b.bytes += d.size()
	if st.Kind == stanza.Presence {
		if i, ok := b.presence[st.From]; ok {
			b.bytes -= b.items[i].size()
			b.items[i] = d
			return
		}
		if b.presence == nil {
			b.presence = map[jid.JID]int{}
		}
		b.presence[st.From] = len(b.items)
	}
	b.items = append(b.items, d)
}

// SetActive obeys <active/> and <inactive/>.
func (s *Session) SetActive(active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended.Load():
	case active:
		s.flushInactive()
		s.csi = nil
		s.pump()
	case s.csi == nil:
		s.csi = &backlog{}
	}
}

// flushInactive puts what was deferred ahead of what comes next. Called with
// mu held.
func (s *Session) flushInactive() {
	if s.csi == nil || len(s.csi.items) == 0 {
		return
	}
	for _, d := range s.csi.items {
		s.put(d.st, d.more)
	}
	s.csi = &backlog{}
}
