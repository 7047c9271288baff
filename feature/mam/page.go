package mam

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"

	"chancery/store"
	"chancery/xmpp/delay"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
)

// search says which messages of an archive are wanted: those between two ids,
// which are not among them, at most limit from the end where the search begins.
type search struct {
	owner         int64
	conversations *[2]int64 // nil for all
	after, before int64
	backwards     bool
	limit         int
}

// everything is the search without bounds.
func everything(owner int64) search {
	return search{owner: owner, before: math.MaxInt64}
}

// cut keeps what the limit allows of sorted ids, from the end where the search
// begins.
func (s search) cut(ids []int64) []int64 {
	if len(ids) <= s.limit {
		return ids
	}
	if s.backwards {
		return ids[len(ids)-s.limit:]
	}
	return ids[:s.limit]
}

// find lists ids, oldest first, and tells whether there are more. It costs the
// same however large the archive is.
func (m *MAM) find(ctx context.Context, s search) (ids []int64, more bool, err error) {
	limit := s.limit
	s.limit++
	recent := m.tail.find(s) // first: what moves into the index meanwhile is found twice rather than never
	ids, err = m.finders.find(ctx, m.db.Read(), s)
	if err != nil {
		return nil, false, err
	}
	ids = append(ids, recent...)
	slices.Sort(ids)
	ids = s.cut(slices.Compact(ids))
	more = len(ids) > limit
	s.limit = limit
	return s.cut(ids), more, nil
}

// source is find, or the choice among the ids that were asked for.
func (m *MAM) source(ctx context.Context, q *query, s search) (ids []int64, more bool, err error) {
	if q.ids == nil {
		return m.find(ctx, s)
	}
	for _, id := range q.ids {
		if id > s.after && id < s.before {
			ids = append(ids, id)
		}
	}
	return s.cut(ids), len(ids) > s.limit, nil
}

// item is one result: the payload of the message that brings it.
type item struct {
	id      int64
	payload []byte
}

const (
	// fetchAtOnce bounds what is read before the size of a page is looked at.
	fetchAtOnce = 32
	// lookAtMost bounds the messages that are read for a filter which no index
	// knows.
	lookAtMost = 10_000
)

// page collects results in the order of the search until there are enough of
// them, or they are bytes enough. Results come oldest first.
func (m *MAM) page(ctx context.Context, q *query) (items []item, more bool, err error) {
	s := q.search
	looked, room := 0, q.bytes
	for {
		if q.match.full { // few of them may match
			s.limit = fetchAtOnce
		}
		ids, rest, err := m.source(ctx, q, s)
		if err != nil {
			return nil, false, err
		}
		for part := range chunks(ids, fetchAtOnce, s.backwards) {
			found, err := m.fetch(ctx, q, part)
			if err != nil {
				return nil, false, err
			}
			for i, it := range found {
				if len(items) > 0 && (len(items) == q.search.limit || room < len(it.payload)) {
					return q.ordered(items), true, nil
				}
				items, room = append(items, found[i]), room-len(it.payload)
			}
		}
		looked += len(ids)
		switch {
		case !rest:
			return q.ordered(items), false, nil
		case !q.match.full:
			return q.ordered(items), true, nil
		case looked >= lookAtMost && len(items) == 0:
			return nil, false, errTooWide
		case looked >= lookAtMost:
			return q.ordered(items), true, nil
		case s.backwards:
			s.before = ids[0]
		default:
			s.after = ids[len(ids)-1]
		}
	}
}

// ordered turns results of a backward search round.
func (q *query) ordered(items []item) []item {
	if q.search.backwards {
		slices.Reverse(items)
	}
	return items
}

// chunks gives pieces of sorted ids, beginning at the end where the search
// begins.
func chunks(ids []int64, size int, backwards bool) func(func([]int64) bool) {
	return func(yield func([]int64) bool) {
		for len(ids) > 0 {
			n := min(size, len(ids))
			part := ids[:n]
			if backwards {
				part = ids[len(ids)-n:]
				ids = ids[:len(ids)-n]
			} else {
				ids = ids[n:]
			}
			if !yield(part) {
				return
			}
		}
	}
}

// fetch reads the messages of some ids that match, in the order of the search.
func (m *MAM) fetch(ctx context.Context, q *query, ids []int64) ([]item, error) {
	items := make([]item, len(ids))
	err := fetch(ctx, m.db.Read(), q.search.owner, ids, func(id int64, stanza []byte) {
		if i, ok := slices.BinarySearch(ids, id); ok && q.match.matches(stanza) {
			items[i] = item{id, m.result(q, id, stanza)}
		}
	})
	items = slices.DeleteFunc(items, func(it item) bool { return it.payload == nil })
	if q.search.backwards {
		slices.Reverse(items)
	}
	return items, err
}

// result is the <result/> of a message. HOT: a page is 50 of these, so they are
// written rather than built; the stored bytes are embedded as they are.
func (m *MAM) result(q *query, id int64, stanza []byte) []byte {
	b := make([]byte, 0, len(stanza)+len(q.id)+256)
	b = append(b, "<result xmlns='"+NS+"'"...)
	if q.id != "" {
		b = elem.AppendAttr(b, "queryid", q.id)
	}
	b = append(b, " id='"...)
	b = append(b, m.keys.token(q.search.owner, id)...)
	b = append(b, "'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='"+delay.NS+"' stamp='"...)
	b = append(b, delay.Stamp(store.IDTime(id))...)
	b = append(b, "'/>"...)
	b = append(b, stanza...)
	return append(b, "</forwarded></result>"...)
}

// match is the filter by address (XEP-0313 filter-jid).
type match struct {
	peer jid.JID
	own  bool // the peer is the owner: only messages to himself
	full bool // the peer has a resource, which is in no index
}

// matches looks at the addresses of a stored message. For a bare peer the index
// has chosen already, by a hash; this makes it certain.
func (f match) matches(stanza []byte) bool {
	if f.peer.IsZero() {
		return true
	}
	from, to := addresses(stanza)
	if f.own && !f.full {
		return bare(from) == f.peer.String() && bare(to) == f.peer.String()
	}
	if f.full {
		return from == f.peer.String() || to == f.peer.String()
	}
	return bare(from) == f.peer.String() || bare(to) == f.peer.String()
}

func bare(address string) string {
	b, _, _ := strings.Cut(address, "/")
	return b
}

// head is how stanza.Append begins a message, followed by from and to.
const head = "<message xmlns='jabber:client'"

// addresses reads from and to off a stored message, which stanza.Append has
// written.
func addresses(stanza []byte) (from, to string) {
	rest, _ := bytes.CutPrefix(stanza, []byte(head))
	from, rest = attribute(rest, " from='")
	to, _ = attribute(rest, " to='")
	return from, to
}

// attribute reads a value that elem.AppendAttr has written, if it comes next.
func attribute(b []byte, begin string) (value string, rest []byte) {
	after, ok := bytes.CutPrefix(b, []byte(begin))
	if !ok {
		return "", b
	}
	v, rest, _ := bytes.Cut(after, []byte("'"))
	value = string(v)
	if strings.Contains(value, "&") {
		value = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&apos;", "'", "&quot;", `"`, "&amp;", "&").Replace(value)
	}
	return value, rest
}
