package mam

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// wishes are what an account prefers (XEP-0441). They never change; nil is that
// of somebody who has said nothing.
type wishes struct {
	policy        string // always, roster or never
	always, never []jid.JID
}

const (
	// rememberWishes is how many accounts' wishes are kept in memory, also
	// those of accounts that have none.
	rememberWishes = 1 << 16
	// maxListed and maxListedBytes bound each of the two lists.
	maxListed      = 500
	maxListedBytes = 16 << 10
)

// wants tells whether owner archives messages to or from peer.
func (m *MAM) wants(ctx context.Context, owner account.Account, peer jid.JID) (bool, error) {
	w, err := m.wishesOf(ctx, owner.ID)
	if err != nil {
		return false, err
	}
	policy := m.settings.Load().Archive.Default
	if w != nil {
		switch policy = w.policy; {
		case listed(w.never, peer): // stronger than always: when in doubt, nothing is kept
			return false, nil
		case listed(w.always, peer):
			return true, nil
		}
	}
	switch policy {
	case "always":
		return true, nil
	case "roster":
		if peer.Bare() == owner.JID {
			return true, nil
		}
		return m.contacts.Knows(ctx, owner, peer.Bare())
	}
	return false, nil
}

// listed compares as XEP-0441 match-rules says: a bare address stands for all its
// resources.
func listed(list []jid.JID, peer jid.JID) bool {
	return len(list) > 0 && (slices.Contains(list, peer) || slices.Contains(list, peer.Bare()))
}

// wishesOf is from memory, if it is there.
func (m *MAM) wishesOf(ctx context.Context, owner int64) (*wishes, error) {
	if w, ok := m.wishes.Get(owner); ok {
		return w, nil
	}
	generation := m.wishes.Generation()
	w, err := loadWishes(ctx, m.db.Read(), owner)
	if err == nil {
		m.wishes.PutIf(generation, owner, w)
	}
	return w, err
}

// Changed forgets what is known of an account's preferences: they were changed
// elsewhere.
func (m *MAM) Changed(owner int64) { m.wishes.Delete(owner) }

func (m *MAM) getPrefs(ctx context.Context, q *route.Query) (*elem.Node, error) {
	w, err := m.wishesOf(ctx, q.Account.ID)
	if err != nil {
		return nil, err
	}
	if w == nil {
		w = &wishes{policy: m.settings.Load().Archive.Default}
	}
	return w.node(), nil
}

func (m *MAM) setPrefs(ctx context.Context, q *route.Query) (*elem.Node, error) {
	w, err := readWishes(q.Payload)
	if err != nil {
		return nil, err
	}
	err = m.db.Write(ctx, func(tx store.Tx) error { return saveWishes(ctx, tx, q.Account.ID, w) })
	m.wishes.Delete(q.Account.ID)
	if err != nil {
		return nil, err
	}
	return w.node(), nil
}

func readWishes(n *elem.Node) (*wishes, error) {
	w := &wishes{policy: n.Attr("default")}
	switch w.policy {
	case "always", "roster", "never":
	default:
		return nil, stanza.Refuse(stanza.BadRequest, "default is always, roster or never")
	}
	var err error
	if w.always, err = readList(n.Child(NS, "always")); err != nil {
		return nil, err
	}
	w.never, err = readList(n.Child(NS, "never"))
	return w, err
}

func readList(n *elem.Node) ([]jid.JID, error) {
	var list []jid.JID
	bytes := 0
	for _, c := range n.ChildrenNamed(NS, "jid") {
		j, err := jid.Parse(c.Text)
		if err != nil {
			return nil, stanza.Refuse(stanza.JIDMalformed, "")
		}
		if slices.Contains(list, j) {
			continue
		}
		list, bytes = append(list, j), bytes+len(j.String())
		if len(list) > maxListed || bytes > maxListedBytes {
			return nil, stanza.Refuse(stanza.PolicyViolation, "too many addresses")
		}
	}
	return list, nil
}

func (w *wishes) node() *elem.Node {
	return elem.New(NS, "prefs").With("default", w.policy).Add(listNode("always", w.always), listNode("never", w.never))
}

func listNode(name string, list []jid.JID) *elem.Node {
	n := elem.New(NS, name)
	for _, j := range list {
		n.Add(elem.New(NS, "jid").SetText(j.String()))
	}
	return n
}

func loadWishes(ctx context.Context, tx store.Tx, owner int64) (*wishes, error) {
	w := &wishes{}
	var always, never []byte
	err := tx.QueryRow(ctx, `SELECT policy, always, never FROM archive_prefs WHERE account = ?`, owner).Scan(&w.policy, &always, &never)
	if errors.Is(err, store.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return w, errors.Join(json.Unmarshal(always, &w.always), json.Unmarshal(never, &w.never))
}

func saveWishes(ctx context.Context, tx store.Tx, owner int64, w *wishes) error {
	always, err := json.Marshal(w.always)
	if err != nil {
		return err
	}
	never, err := json.Marshal(w.never)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO archive_prefs (account, policy, always, never) VALUES (?, ?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET policy = excluded.policy, always = excluded.always, never = excluded.never`,
		owner, w.policy, string(always), string(never))
	return err
}
