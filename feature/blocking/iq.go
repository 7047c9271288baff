package blocking

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// list answers with the block list; from then on the session hears of changes.
func (b *Blocking) list(ctx context.Context, q *route.Query) (*elem.Node, error) {
	if q.Session != nil {
		q.Session.SetWant(session.Blocks, true) // before the list is read, so that no change is missed
	}
	l, err := b.of(ctx, q.Account.ID)
	if err != nil {
		return nil, err
	}
	return command("blocklist", l.sorted()), nil
}

// block adds to the list. The newly blocked see the user go offline.
func (b *Blocking) block(ctx context.Context, q *route.Query) (*elem.Node, error) {
	asked, err := items(q.Payload)
	if err != nil {
		return nil, err
	}
	if len(asked) == 0 {
		return nil, stanza.Refuse(stanza.BadRequest, "no item to block")
	}
	before, err := b.of(ctx, q.Account.ID)
	if err != nil {
		return nil, err
	}
	var rows []store.Row
	for _, j := range asked {
		if !before.has(j) {
			rows = append(rows, addRow(q.Account.ID, j))
		}
	}
	if limit := b.settings.Load().Blocking.Contacts; len(before)+len(rows) > limit {
		return nil, stanza.Refuse(stanza.PolicyViolation, fmt.Sprintf("a block list holds not more than %d addresses", limit))
	}
	if err := b.commit(q.Account, rows, command("block", asked)); err != nil {
		return nil, err
	}
	b.leave(ctx, q.Account, before, asked)
	return nil, nil
}

// unblock takes off the list, everything when no item is named. Those who may
// see the user's presence see it again.
func (b *Blocking) unblock(ctx context.Context, q *route.Query) (*elem.Node, error) {
	asked, err := items(q.Payload)
	if err != nil {
		return nil, err
	}
	before, err := b.of(ctx, q.Account.ID)
	if err != nil {
		return nil, err
	}
	push := command("unblock", asked)
	var rows []store.Row
	for _, j := range asked {
		rows = append(rows, removeRow(q.Account.ID, j))
	}
	if len(asked) == 0 {
		rows, asked = append(rows, removeAllRow(q.Account.ID)), before.sorted()
	}
	if err := b.commit(q.Account, rows, push); err != nil {
		return nil, err
	}
	b.arrive(ctx, q.Account, before.without(asked), asked)
	return nil, nil
}

// commit writes the change and, when it is on disk, tells the sessions that
// have asked for the list. Changes of one account are told in the order in
// which they took effect.
func (b *Blocking) commit(owner account.Account, rows []store.Row, change *elem.Node) error {
	done := make(chan error, 1)
	b.db.Append(rows, func(err error) {
		if err == nil {
			b.lists.drop(owner.ID)
			b.push(owner.JID, change)
		}
		done <- err
	})
	return <-done
}

// push tells a change to the interested sessions (XEP-0191 block).
func (b *Blocking) push(owner jid.JID, change *elem.Node) {
	p := stanza.New(stanza.IQ, "set", change)
	p.From, p.ID = owner, rand.Text()
	for _, s := range b.online.Sessions(owner) {
		if s.Wants(session.Blocks) {
			s.Send(p.Addressed(s.JID))
		}
	}
}

// items reads the addresses of a command, each once.
func items(n *elem.Node) ([]jid.JID, error) {
	var out []jid.JID
	seen := list{}
	for _, it := range n.ChildrenNamed(NS, "item") {
		if it.Attr("jid") == "" {
			return nil, stanza.Refuse(stanza.BadRequest, "an item has no address")
		}
		j, err := jid.Parse(it.Attr("jid"))
		if err != nil {
			return nil, stanza.Refuse(stanza.JIDMalformed, "an item is no address")
		}
		if !seen.has(j) {
			seen[j] = struct{}{}
			out = append(out, j)
		}
	}
	if len(out) == 0 && len(n.Children) > 0 {
		return nil, stanza.Refuse(stanza.BadRequest, "there is no item in here") // and not: everything
	}
	return out, nil
}

func command(name string, jids []jid.JID) *elem.Node {
	n := elem.New(NS, name)
	for _, j := range jids {
		n.Add(elem.New(NS, "item").With("jid", j.String()))
	}
	return n
}

// leave sends unavailable presence to those who are blocked now and were not
// before, as far as they knew that the user is there (XEP-0191 block).
func (b *Blocking) leave(ctx context.Context, owner account.Account, before list, rules []jid.JID) {
	watchers := concerned(rules, b.watchers(ctx, owner), before)
	for _, s := range b.online.Sessions(owner.JID) {
		told := undirect(s, rules)
		if s.Presence() != nil {
			told = append(told, watchers...)
		}
		slices.SortFunc(told, compare)
		for _, j := range slices.Compact(told) {
			gone := stanza.New(stanza.Presence, "unavailable")
			gone.From, gone.To = s.JID, j
			b.router.Route(ctx, gone)
		}
	}
}

// undirect takes those that rules match from the addresses which directed
// presence of s went to.
func undirect(s *session.Session, rules []jid.JID) []jid.JID {
	blocked := newList(rules...)
	var out []jid.JID
	for _, j := range s.Directed(false) {
		if blocked.blocks(j) {
			s.Undirect(j)
			out = append(out, j)
		}
	}
	return out
}

// arrive sends the current presence to those who are not blocked any more and
// are entitled to it (XEP-0191 unblock).
func (b *Blocking) arrive(ctx context.Context, owner account.Account, still list, rules []jid.JID) {
	watchers := concerned(rules, b.watchers(ctx, owner), still)
	for _, s := range b.online.Sessions(owner.JID) {
		if p := s.Presence(); p != nil {
			for _, j := range watchers {
				b.router.Route(ctx, p.Stanza.Addressed(j))
			}
		}
	}
}

// watchers are none when they cannot be read: the change is made already, and
// presence is not worth an error that says it was not.
func (b *Blocking) watchers(ctx context.Context, owner account.Account) []jid.JID {
	w, err := b.contacts.Watchers(ctx, owner)
	if err != nil {
		b.log.Error("contacts not told of a change of the block list", "who", owner.JID.String(), "err", err)
	}
	return w
}

// concerned lists the addresses that a change is told to: the contacts that a
// rule matches, and for a rule about one resource of a contact that resource;
// not those that another list matches before or after all the same.
func concerned(rules, contacts []jid.JID, other list) []jid.JID {
	changed := newList(rules...)
	var out []jid.JID
	for _, c := range contacts {
		if changed.blocks(c) {
			if !other.blocks(c) {
				out = append(out, c)
			}
			continue
		}
		for _, r := range rules {
			if r.IsFull() && r.Bare() == c && !other.blocks(r) {
				out = append(out, r)
			}
		}
	}
	return out
}
