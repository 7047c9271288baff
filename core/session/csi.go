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
}

type deferred struct {
	st   *stanza.Stanza
	more []byte
}

// maxDeferred bounds what one inactive session may keep in memory.
const maxDeferred = 500

// defers tells whether st can wait. A nil backlog defers nothing.
func (b *backlog) defers(st *stanza.Stanza) bool {
	if b == nil || len(b.items) >= maxDeferred {
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

// onlyStates is true for chat states and nothing else.
func onlyStates(parts []elem.Part) bool {
	for _, p := range parts {
		if p.Name.Space != "http://jabber.org/protocol/chatstates" && p.Name.Local != "thread" {
			return false
		}
	}
	return len(parts) > 0
}

func (b *backlog) add(st *stanza.Stanza, more []byte) {
	if st.Kind == stanza.Presence {
		if i, ok := b.presence[st.From]; ok {
			b.items[i] = deferred{st, more}
			return
		}
		if b.presence == nil {
			b.presence = map[jid.JID]int{}
		}
		b.presence[st.From] = len(b.items)
	}
	b.items = append(b.items, deferred{st, more})
}

// SetActive obeys <active/> and <inactive/>.
func (s *Session) SetActive(active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !active {
		if s.csi == nil {
			s.csi = &backlog{}
		}
		return
	}
	s.flushInactive()
	s.csi = nil
	s.pump()
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
