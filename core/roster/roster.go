// Package roster is who knows whom (RFC 6121 §2, §3) and who hears of whom (§4):
// contact lists, subscriptions and presence.
//
// Files: roster.go the lists and how they change; sql.go their rows; iq.go what
// clients ask; subscription.go the state machine of appendix A; presence.go
// broadcast, probes and directed presence.
package roster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"chancery/base/lru"
	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// NS is the namespace of roster queries.
const NS = "jabber:iq:roster"

// Item is what an account knows of one contact. The zero value, with an
// address, is a stranger.
type Item struct {
	JID      jid.JID
	Name     string
	Groups   []string
	To       bool // we hear of the contact's presence
	From     bool // the contact hears of ours
	Ask      bool // we have asked, and were not answered (pending out)
	Approved bool // the contact may subscribe without being asked again (§3.4)
	Listed   bool // stands in the roster; a mere request does not

	// Asked is the contact's own request while it is not answered (pending
	// in); it is kept beside the roster.
	Asked *stanza.Stanza
}

// Subscription is the word for To and From (§2.1.2.5).
func (i Item) Subscription() string {
	switch {
	case i.To && i.From:
		return "both"
	case i.To:
		return "to"
	case i.From:
		return "from"
	}
	return "none"
}

// Node is the <item/> of a result or a push.
func (i Item) Node() *elem.Node {
	n := elem.New(NS, "item").With("jid", i.JID.String())
	if !i.Listed {
		return n.With("subscription", "remove")
	}
	n.With("name", i.Name).With("subscription", i.Subscription())
	if i.Ask {
		n.With("ask", "subscribe")
	}
	if i.Approved {
		n.With("approved", "true")
	}
	for _, g := range i.Groups {
		n.Add(elem.New(NS, "group").SetText(g))
	}
	return n
}

// Roster is one account's list at one moment. It never changes.
type Roster struct {
	Version int64
	items   map[jid.JID]Item
}

// Item of a contact, perhaps a stranger.
func (r *Roster) Item(contact jid.JID) Item {
	if i, ok := r.items[contact]; ok {
		return i
	}
	return Item{JID: contact}
}

// Items that are listed, in no order.
func (r *Roster) Items() []Item {
	out := make([]Item, 0, len(r.items))
	for _, i := range r.items {
		if i.Listed {
			out = append(out, i)
		}
	}
	return out
}

// requests counts those who are not listed and wait for an answer.
func (r *Roster) requests() (n int) {
	for _, i := range r.items {
		if !i.Listed {
			n++
		}
	}
	return n
}

// with is the roster after a change of one item.
func (r *Roster) with(i Item, version int64) *Roster {
	n := &Roster{Version: version, items: maps.Clone(r.items)}
	if n.items == nil {
		n.items = map[jid.JID]Item{}
	}
	if i.Listed || i.Asked != nil {
		n.items[i.JID] = i
	} else {
		delete(n.items, i.JID)
	}
	return n
}

// Rosters reads and changes the lists of all accounts. Those in use are kept in
// memory; changes of one account are made, committed and pushed one at a time.
type Rosters struct {
	db       *store.DB
	settings *settings.Live
	online   *online.Table
	cache    *lru.Cache[int64, *Roster]
	locks    [64]sync.Mutex // by account; held across the commit and the pushes
}

// remember is how many rosters are kept.
const remember = 1 << 14

// New makes the lists of a database.
func New(db *store.DB, live *settings.Live, table *online.Table) *Rosters {
	return &Rosters{db: db, settings: live, online: table, cache: lru.New[int64, *Roster](remember)}
}

// Of reads the roster of an account.
func (r *Rosters) Of(ctx context.Context, account int64) (*Roster, error) {
	if l, ok := r.cache.Get(account); ok {
		return l, nil
	}
	generation := r.cache.Generation()
	l, err := load(ctx, r.db.Read(), account)
	if err != nil {
		return nil, fmt.Errorf("reading a roster: %w", err)
	}
	r.cache.PutIf(generation, account, l)
	return l, nil
}

// Sees tells whether other is entitled to the owner's presence: a subscription
// from or both, or the owner himself.
func (r *Rosters) Sees(ctx context.Context, owner account.Account, other jid.JID) (bool, error) {
	if other.Bare() == owner.JID {
		return true, nil
	}
	l, err := r.Of(ctx, owner.ID)
	if err != nil {
		return false, err
	}
	return l.items[other.Bare()].From, nil
}

// Knows tells whether other is in the owner's roster with any subscription.
func (r *Rosters) Knows(ctx context.Context, owner account.Account, other jid.JID) (bool, error) {
	l, err := r.Of(ctx, owner.ID)
	if err != nil {
		return false, err
	}
	return l.items[other.Bare()].Listed, nil
}

// Watchers lists the bare addresses with a subscription from or both.
func (r *Rosters) Watchers(ctx context.Context, owner account.Account) ([]jid.JID, error) {
	l, err := r.Of(ctx, owner.ID)
	if err != nil {
		return nil, err
	}
	var out []jid.JID
	for _, i := range l.items {
		if i.From {
			out = append(out, i.JID)
		}
	}
	return out, nil
}

// change replaces one item by what decide makes of it, on disk, and pushes it
// to the interested resources (§2.1.6). When decide returns the item unchanged
// nothing happens. before and after are what it was and is. tell, which may be
// nil, is called between the commit and the push.
func (r *Rosters) change(ctx context.Context, owner account.Account, contact jid.JID, decide func(Item) (Item, error), tell func()) (before, after Item, err error) {
	lock := r.lock(owner.ID)
	lock.Lock()
	defer lock.Unlock()
	old, err := r.Of(ctx, owner.ID)
	if err != nil {
		return before, after, err
	}
	before = old.Item(contact)
	if after, err = decide(before); err != nil || same(before, after) {
		return before, after, err
	}
	if after.Asked != nil && before.Asked == nil && !after.Listed && old.requests() >= r.settings.Load().Roster.Contacts {
		return before, before, stanza.Refuse(stanza.PolicyViolation, "too many requests wait for an answer")
	}
	if after.Listed && !before.Listed {
		if limit := r.settings.Load().Roster.Contacts; len(old.Items()) >= limit {
			return before, before, stanza.Refuse(stanza.PolicyViolation, "a roster holds not more than "+strconv.Itoa(limit)+" contacts")
		}
	}
	push := !looksSame(before, after)
	version := old.Version
	if push {
		version = r.db.NewID() // never used before, not even by an account of that name that was removed
	}
	err = r.db.Write(ctx, func(tx store.Tx) error {
		if push {
			if err := setVersion(ctx, tx, owner.ID, version); err != nil {
				return err
			}
		}
		return save(ctx, tx, owner.ID, after, version)
	})
	r.cache.Delete(owner.ID) // what somebody reads just now is old; and after an error nobody knows what was written
	if err != nil {
		return before, before, err
	}
	r.cache.Put(owner.ID, old.with(after, version))
	if tell != nil {
		tell()
	}
	if push {
		r.push(owner.JID, after, version)
	}
	return before, after, nil
}

// listing is what clients see of an item, but for the groups.
func listing(i Item) [6]string {
	if !i.Listed {
		return [6]string{}
	}
	return [6]string{"listed", i.Name, i.Subscription(), strconv.FormatBool(i.Ask), strconv.FormatBool(i.Approved)}
}

// looksSame tells whether clients see no difference.
func looksSame(a, b Item) bool {
	return listing(a) == listing(b) && slices.Equal(a.Groups, b.Groups)
}

func same(a, b Item) bool { return a.Asked == b.Asked && looksSame(a, b) }

// push tells the resources that asked for the roster (§2.1.6).
func (r *Rosters) push(owner jid.JID, i Item, version int64) {
	q := pushed(i, version)
	for _, s := range r.online.Sessions(owner) {
		if s.Wants(session.Rosters) {
			s.Send(q.Addressed(s.JID))
		}
	}
}

func pushed(i Item, version int64) *stanza.Stanza {
	ver := strconv.FormatInt(version, 10)
	q := stanza.New(stanza.IQ, "set", elem.New(NS, "query").With("ver", ver).Add(i.Node()))
	q.ID = "push-" + ver
	return q
}

// follow lets a session that has got the roster l hear of what changes, and of
// what has changed since l was read. Pushes come behind the roster, never before.
func (r *Rosters) follow(ctx context.Context, s *session.Session, l *Roster) {
	lock := r.lock(s.Account)
	lock.Lock()
	defer lock.Unlock()
	s.SetWant(session.Rosters, true)
	now, err := r.Of(ctx, s.Account)
	if err != nil || now == l || now.Version == l.Version {
		return
	}
	for j, old := range l.items {
		if i := now.Item(j); !looksSame(old, i) {
			s.Send(pushed(i, now.Version).Addressed(s.JID))
		}
	}
	for j, i := range now.items {
		if _, known := l.items[j]; !known && i.Listed {
			s.Send(pushed(i, now.Version).Addressed(s.JID))
		}
	}
}

func (r *Rosters) lock(account int64) *sync.Mutex {
	return &r.locks[uint64(account)%uint64(len(r.locks))]
}
