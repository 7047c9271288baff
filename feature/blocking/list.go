package blocking

import (
	"slices"
	"strings"

	"chancery/xmpp/jid"
)

// list is what one account blocks. It is never changed; a change makes another.
type list map[jid.JID]struct{}

// blocks matches in the order of XEP-0191 matching: the address
// itself, the bare address, the domain.
func (l list) blocks(other jid.JID) bool {
	return l.has(other) || l.has(other.Bare()) || l.has(other.Server())
}

func (l list) has(j jid.JID) bool {
	_, ok := l[j]
	return ok
}

// sorted is the order in which lists are told.
func (l list) sorted() []jid.JID {
	out := make([]jid.JID, 0, len(l))
	for j := range l {
		out = append(out, j)
	}
	slices.SortFunc(out, compare)
	return out
}

func compare(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) }

// without is the list that remains when some are taken off it.
func (l list) without(some []jid.JID) list {
	rest := make(list, len(l))
	for j := range l {
		if !slices.Contains(some, j) {
			rest[j] = struct{}{}
		}
	}
	return rest
}

func newList(jids ...jid.JID) list {
	l := make(list, len(jids))
	for _, j := range jids {
		l[j] = struct{}{}
	}
	return l
}
