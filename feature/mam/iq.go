package mam

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/store"
	"chancery/xmpp/delay"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

const (
	nsForms    = "jabber:x:data"
	nsValidate = "http://jabber.org/protocol/xdata-validate"
	nsRSM      = "http://jabber.org/protocol/rsm"
)

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
	set := elem.New(nsRSM, "set")
	if len(items) > 0 {
		first := elem.New(nsRSM, "first").SetText(m.keys.token(ask.search.owner, items[0].id))
		if !more && ask.whole {
			first.With("index", "0")
		}
		set.Add(first, elem.New(nsRSM, "last").SetText(m.keys.token(ask.search.owner, items[len(items)-1].id)))
	}
	if !more && ask.whole {
		set.Add(elem.New(nsRSM, "count").SetText(strconv.Itoa(len(items))))
	}
	return finish(set, !more)
}

func finish(set *elem.Node, complete bool) *elem.Node {
	fin := elem.New(NS, "fin").Add(set)
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
	set := elem.New(nsRSM, "set")
	if ask.match.full {
		return finish(set, false), nil
	}
	s := ask.search
	s.limit = countAtMost
	ids, more, err := m.source(ctx, ask, s)
	if err != nil {
		return nil, err
	}
	if !more {
		set.Add(elem.New(nsRSM, "count").SetText(strconv.Itoa(len(ids))))
	}
	return finish(set, len(ids) == 0), nil
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

// form lists the fields of a query.
func (m *MAM) form(context.Context, *route.Query) (*elem.Node, error) {
	field := func(typ, name string) *elem.Node {
		return elem.New(nsForms, "field").With("type", typ).With("var", name)
	}
	x := elem.New(nsForms, "x").With("type", "form").Add(
		field("hidden", "FORM_TYPE").Add(elem.New(nsForms, "value").SetText(NS)),
		field("jid-single", "with"),
		field("text-single", "start"),
		field("text-single", "end"),
		field("text-single", "before-id"),
		field("text-single", "after-id"),
		field("list-multi", "ids").Add(elem.New(nsValidate, "validate").With("datatype", "xs:string").Add(elem.New(nsValidate, "open"))),
		field("boolean", "include-groupchat"),
	)
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
	q.search.limit = set.Archive.PageMax
	q.flip = n.Child(NS, "flip-page") != nil
	if err := m.readForm(q, n.Child(nsForms, "x"), owner); err != nil {
		return nil, err
	}
	if err := m.readSet(q, n.Child(nsRSM, "set")); err != nil {
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
func (m *MAM) readForm(q *query, x *elem.Node, owner account.Account) error {
	if x == nil {
		return nil
	}
	fields, err := readFields(x)
	if err != nil {
		return err
	}
	if t := fields["FORM_TYPE"]; len(t) != 1 || t[0] != NS {
		return stanza.Refuse(stanza.BadRequest, "FORM_TYPE must be "+NS)
	}
	for name, values := range fields {
		if name == "ids" {
			q.ids = []int64{}
			for _, v := range values {
				id, err := m.ref(q, v)
				if err != nil {
					return err
				}
				q.ids = append(q.ids, id)
			}
			slices.Sort(q.ids)
			q.ids = slices.Compact(q.ids)
			continue
		}
		if len(values) == 0 || values[0] == "" { // a form that was filled in leaves fields empty
			continue
		}
		if len(values) > 1 {
			return stanza.Refuse(stanza.BadRequest, name+" has one value")
		}
		if err := m.readField(q, name, values[0], owner); err != nil {
			return err
		}
	}
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

// readFields reads a submitted form (XEP-0004).
func readFields(x *elem.Node) (map[string][]string, error) {
	if t := x.Attr("type"); t != "submit" {
		return nil, stanza.Refuse(stanza.BadRequest, "the form must be of type submit")
	}
	fields := map[string][]string{}
	for _, f := range x.ChildrenNamed(nsForms, "field") {
		name := f.Attr("var")
		if _, twice := fields[name]; twice || name == "" {
			return nil, stanza.Refuse(stanza.BadRequest, "a field has no name, or is there twice")
		}
		values := []string{}
		for _, v := range f.ChildrenNamed(nsForms, "value") {
			values = append(values, v.Text)
		}
		fields[name] = values
	}
	return fields, nil
}

// readSet reads what page is wanted (XEP-0059).
func (m *MAM) readSet(q *query, set *elem.Node) error {
	if set.Child(nsRSM, "index") != nil {
		return stanza.Refuse(stanza.FeatureNotImplemented, "pages are found by id, not by index")
	}
	if n := set.Child(nsRSM, "max"); n != nil {
		limit, err := strconv.ParseUint(n.Text, 10, 31)
		if err != nil {
			return stanza.Refuse(stanza.BadRequest, "max is no number")
		}
		q.count = limit == 0
		q.search.limit = min(q.search.limit, int(limit))
	}
	if n := set.Child(nsRSM, "after"); n != nil && n.Text != "" {
		id, err := m.ref(q, n.Text)
		if err != nil {
			return err
		}
		q.search.after, q.whole = max(q.search.after, id), false
	}
	if n := set.Child(nsRSM, "before"); n != nil {
		q.search.backwards = true
		if n.Text == "" {
			return nil
		}
		id, err := m.ref(q, n.Text)
		if err != nil {
			return err
		}
		q.search.before, q.whole = min(q.search.before, id), false
	}
	return nil
}
