// Package rsm is result set management (XEP-0059): the page that is asked for
// and what is said of the page that is given.
package rsm

import (
	"strconv"

	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
)

// NS is the namespace of XEP-0059.
const NS = "http://jabber.org/protocol/rsm"

// MaxID bounds the ids of items that a request may name, in bytes.
const MaxID = 1024

// Request is the page that somebody asks for.
type Request struct {
	Max   int // items he wants at most; 0 asks for the count alone, -1 says nothing
	Index int // of the first item; -1 when not asked for

	// After and Before name the item that the page follows or precedes. Backwards
	// is true when <before/> is there: with an empty Before it asks for the
	// last page.
	After, Before string
	Backwards     bool
}

// Parse reads the <set/> among the children of a query. Without one, asked is
// false and the request says nothing. Errors are *stanza.Error.
func Parse(query *elem.Node) (r Request, asked bool, err error) {
	r = Request{Max: -1, Index: -1}
	set := query.Child(NS, "set")
	if set == nil {
		return r, false, nil
	}
	if r.Max, err = number(set, "max"); err != nil {
		return r, true, err
	}
	if r.Index, err = number(set, "index"); err != nil {
		return r, true, err
	}
	if c := set.Child(NS, "after"); c != nil {
		r.After = c.Text
	}
	if c := set.Child(NS, "before"); c != nil {
		r.Before, r.Backwards = c.Text, true
	}
	if len(r.After) > MaxID || len(r.Before) > MaxID {
		return r, true, stanza.Refuse(stanza.BadRequest, "the id of an item is too long")
	}
	return r, true, nil
}

// number reads a child that holds a number, -1 when there is none.
func number(set *elem.Node, name string) (int, error) {
	c := set.Child(NS, name)
	if c == nil {
		return -1, nil
	}
	n, err := strconv.ParseUint(c.Text, 10, 31)
	if err != nil {
		return -1, stanza.Refuse(stanza.BadRequest, name+" is not a number")
	}
	return int(n), nil
}

// Limit is how many items the page may have: what was asked for, usual when
// nothing was asked for, and never more than most.
func (r Request) Limit(usual, most int) int {
	if r.Max < 0 {
		return min(usual, most)
	}
	return min(r.Max, most)
}

// Page is what is said of a page that is given. First and Last are the ids of
// its items and "" when it is empty; Index and Count are -1 when they are not
// known.
type Page struct {
	First, Last  string
	Index, Count int
}

// Node is the <set/> of the answer.
func (p Page) Node() *elem.Node {
	set := elem.New(NS, "set")
	if p.First != "" {
		first := elem.New(NS, "first").SetText(p.First)
		if p.Index >= 0 {
			first.WithAttr("index", strconv.Itoa(p.Index))
		}
		set.Add(first, elem.New(NS, "last").SetText(p.Last))
	}
	if p.Count >= 0 {
		set.Add(elem.New(NS, "count").SetText(strconv.Itoa(p.Count)))
	}
	return set
}
