package mam

import (
	"context"
	"math"
	"slices"
	"time"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/store"
	"chancery/xmpp/delay"
	"chancery/xmpp/elem"
	"chancery/xmpp/form"
	"chancery/xmpp/jid"
	"chancery/xmpp/rsm"
	"chancery/xmpp/stanza"
)

// nsValidate is that of XEP-0122.
const nsValidate = "http://jabber.org/protocol/xdata-validate"

var errTooWide = stanza.Refuse(stanza.PolicyViolation, "none of the 10,000 messages looked at is with that resource; add start or end")

// query is what a client asks for.
type query struct {
	id     string // queryid
	search search
	match  match
	ids    []int64 // when not nil: only these, sorted
	refs   []int64 // ids that must be in the archive, sorted
	bytes  int     // bound of a page
	flip   bool
	count  bool // <max>0</max>: only the number is wanted
	whole  bool // begins at an end of the result, so that a complete page is all of it
}

// answer sends a page of results, then says whether that was all.
func (m *MAM) answer(ctx context.Context, q *route.Query) (*elem.Node, error) {
	ask, err := m.read(q.Payload, q.Account)
	if err != nil {
		return nil, err
	}
	there, err := holds(ctx, m.db.Read(), q.Account.ID, ask.refs)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, errUnknownID
	}
	if ask.count {
		return m.countOnly(ctx, ask)
	}
	items, more, err := m.page(ctx, ask)
	if err != nil {
		return nil, err
	}
	send(q, ask, items)
	return m.fin(ask, items, more), nil
}

// send brings the results to whoever asked, in a row: they share an outbox that
// is written at once.
func send(q *route.Query, ask *query, items []item) {
	out := slices.Values(items)
	if ask.flip {
		out = backward(items)
	}
	for it := range out {
		q.Reply(&stanza.Stanza{
			Kind: stanza.Message, From: q.Account.JID, To: q.From, Payload: it.payload,
			Parts: []elem.Part{{Name: elem.N(NS, "result"), End: len(it.payload)}},
		})
	}
}

func backward(items []item) func(func(item) bool) {
	return func(yield func(item) bool) {
		for _, it := range slices.Backward(items) {
			if !yield(it) {
				return
			}
		}
	}
}

// fin ends a result (XEP-0313 query-paging). The count is given when it is
// known, which is when the page is all there is; otherwise it would have to be
// counted.
func (m *MAM) fin(ask *query, items []item, more bool) *elem.Node {
	p := rsm.Page{Index: -1, Count: -1}
	if len(items) > 0 {
		p.First = m.keys.token(ask.search.owner, items[0].id)
		p.Last = m.keys.token(ask.search.owner, items[len(items)-1].id)
	}
	if !more && ask.whole {
		p.Index, p.Count = 0, len(items)
	}
	return finish(p, !more)
}

func finish(p rsm.Page, complete bool) *elem.Node {
	fin := elem.New(NS, "fin").Add(p.Node())
	if complete {
		fin.With("complete", "true")
	}
	return fin
}

// countAtMost bounds what is counted.
const countAtMost = 1000

// countOnly answers <max>0</max>. Large numbers are not told: counting them costs
// as much as reading them.
func (m *MAM) countOnly(ctx context.Context, ask *query) (*elem.Node, error) {
	p := rsm.Page{Count: -1}
	if ask.match.full {
		return finish(p, false), nil
	}
	s := ask.search
	s.limit = countAtMost
	ids, more, err := m.source(ctx, ask, s)
	if err != nil {
		return nil, err
	}
	if !more {
		p.Count = len(ids)
	}
	return finish(p, len(ids) == 0), nil
}

// metadata tells where the archive begins and ends.
func (m *MAM) metadata(ctx context.Context, q *route.Query) (*elem.Node, error) {
	n := elem.New(NS, "metadata")
	s := everything(q.Account.ID)
	s.after, s.limit = m.oldest(), 1
	for _, name := range [...]string{"start", "end"} {
		ids, _, err := m.find(ctx, s)
		if err != nil || len(ids) == 0 {
			return n, err
		}
		n.Add(elem.New(NS, name).With("id", m.keys.token(s.owner, ids[0])).With("timestamp", delay.Stamp(store.IDTime(ids[0]))))
		s.backwards = true
	}
	return n, nil
}

// form lists the fields of a query. Any id may be asked for (XEP-0122 open).
func (m *MAM) form(context.Context, *route.Query) (*elem.Node, error) {
	x := form.New(form.Ask, NS).
		With("with", form.JIDSingle).
		With("start", form.TextSingle).
		With("end", form.TextSingle).
		With("before-id", form.TextSingle).
		With("after-id", form.TextSingle).
		With("include-groupchat", form.Boolean).
		With("ids", form.ListMulti).
		Node()
	ids := x.Children[len(x.Children)-1]
	ids.Add(elem.New(nsValidate, "validate").With("datatype", "xs:string").Add(elem.New(nsValidate, "open")))
	return elem.New(NS, "query").Add(x), nil
}

var errUnknownID = stanza.Refuse(stanza.ItemNotFound, "no such message in this archive")

// oldest is the id below which messages are gone, or about to be: what is too old
// is not shown although the sweep may come later.
func (m *MAM) oldest() int64 {
	keep := m.settings.Load().Archive.Retention
	if keep <= 0 {
		return 0
	}
	return max(idFrom(time.Now().Add(-keep))-1, 0)
}

// idFrom is the smallest id of a moment; any date will do.
func idFrom(t time.Time) int64 {
	switch y := t.UTC().Year(); {
	case y < 2025: // before the first id there can be
		return 0
	case y > 2090:
		return math.MaxInt64
	}
	return store.IDFrom(t)
}

// read understands a query.
func (m *MAM) read(n *elem.Node, owner account.Account) (*query, error) {
	set := m.settings.Load()
	q := &query{id: n.Attr("queryid"), search: everything(owner.ID), bytes: int(set.C2S.OutboxBytes) / 4, whole: true}
	q.search.after = m.oldest()
	q.flip = n.Child(NS, "flip-page") != nil
	if err := m.readForm(q, n, owner); err != nil {
		return nil, err
	}
	if err := m.readSet(q, n, set.Archive.PageMax); err != nil {
		return nil, err
	}
	slices.Sort(q.refs)
	q.refs = slices.Compact(q.refs)
	for _, id := range q.refs {
		if id <= m.oldest() {
			return nil, errUnknownID
		}
	}
	return q, nil
}

// readForm reads the filters.
func (m *MAM) readForm(q *query, n *elem.Node, owner account.Account) error {
	if n.Child(form.NS, "x") == nil {
		return nil
	}
	f, err := form.Submitted(n, NS)
	if err != nil || f == nil {
		return err
	}
	for _, field := range f.Fields {
		switch values := field.Values; {
		case field.Var == "ids":
			if err := m.readIDs(q, values); err != nil {
				return err
			}
		case len(values) > 1:
			return stanza.Refuse(stanza.BadRequest, field.Var+" has one value")
		case len(values) == 1 && values[0] != "": // a form that was filled in leaves fields empty
			if err := m.readField(q, field.Var, values[0], owner); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *MAM) readIDs(q *query, tokens []string) error {
	q.ids = make([]int64, 0, len(tokens))
	for _, t := range tokens {
		id, err := m.ref(q, t)
		if err != nil {
			return err
		}
		q.ids = append(q.ids, id)
	}
	slices.Sort(q.ids)
	q.ids = slices.Compact(q.ids)
	return nil
}

func (m *MAM) readField(q *query, name, value string, owner account.Account) error {
	switch name {
	case "FORM_TYPE":
	case "with":
		j, err := jid.Parse(value)
		if err != nil {
			return stanza.Refuse(stanza.BadRequest, "with is no address")
		}
		q.match = match{peer: j, own: j.Bare() == owner.JID, full: j.IsFull()}
		c := m.keys.conversations(owner.JID, j.Bare())
		q.search.conversations = &c
	case "start":
		at, err := delay.ParseStamp(value)
		if err != nil {
			return stanza.Refuse(stanza.BadRequest, "start is "+err.Error())
		}
		q.search.after = max(q.search.after, idFrom(at)-1)
	case "end":
		at, err := delay.ParseStamp(value)
		if err != nil {
			return stanza.Refuse(stanza.BadRequest, "end is "+err.Error())
		}
		q.search.before = min(q.search.before, idFrom(at.Truncate(time.Microsecond).Add(time.Microsecond)))
	case "after-id", "before-id":
		id, err := m.ref(q, value)
		if err != nil {
			return err
		}
		if name == "after-id" {
			q.search.after = max(q.search.after, id)
		} else {
			q.search.before = min(q.search.before, id)
		}
	case "include-groupchat":
		switch value {
		case "true", "false", "1", "0": // there are none
		default:
			return stanza.Refuse(stanza.BadRequest, name+" is true or false")
		}
	default:
		return stanza.Refuse(stanza.FeatureNotImplemented, "there is no field of that name")
	}
	return nil
}

// ref reads the id of a message that must be there.
func (m *MAM) ref(q *query, token string) (int64, error) {
	id, ok := m.keys.open(q.search.owner, token)
	if !ok {
		return 0, errUnknownID
	}
	q.refs = append(q.refs, id)
	return id, nil
}

// readSet reads what page is wanted (XEP-0059).
func (m *MAM) readSet(q *query, n *elem.Node, most int) error {
	r, _, err := rsm.Parse(n)
	if err != nil {
		return err
	}
	if r.Index >= 0 {
		return stanza.Refuse(stanza.FeatureNotImplemented, "pages are found by id, not by index")
	}
	q.search.limit = r.Limit(most, most)
	q.count = r.Max == 0
	q.search.backwards = r.Backwards
	if r.After != "" {
		id, err := m.ref(q, r.After)
		if err != nil {
			return err
		}
		q.search.after, q.whole = max(q.search.after, id), false
	}
	if r.Before != "" {
		id, err := m.ref(q, r.Before)
		if err != nil {
			return err
		}
		q.search.before, q.whole = min(q.search.before, id), false
	}
	return nil
}
