package roster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"chancery/store"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

func load(ctx context.Context, tx store.Tx, account int64) (*Roster, error) {
	l := &Roster{items: map[jid.JID]Item{}}
	err := tx.QueryRow(ctx, `SELECT version FROM roster_version WHERE account = ?`, account).Scan(&l.Version)
	if err != nil && !errors.Is(err, store.ErrNone) {
		return nil, err
	}
	if err := loadItems(ctx, tx, account, l.items); err != nil {
		return nil, err
	}
	if err := loadRequests(ctx, tx, account, l.items); err != nil {
		return nil, err
	}
	if len(l.items) == 0 {
		l.items = nil // many accounts know nobody; a map costs
	}
	return l, nil
}

func loadItems(ctx context.Context, tx store.Tx, account int64, into map[jid.JID]Item) error {
	rows, err := tx.Query(ctx, `SELECT contact, name, subscription, ask, approved, groups FROM roster_item WHERE account = ?`, account)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var contact, subscription, groups string
		var ask, approved int
		i := Item{Listed: true}
		if err := rows.Scan(&contact, &i.Name, &subscription, &ask, &approved, &groups); err != nil {
			return err
		}
		if i.JID, err = jid.Parse(contact); err != nil {
			return fmt.Errorf("contact %q: %w", contact, err)
		}
		if err := json.Unmarshal([]byte(groups), &i.Groups); err != nil {
			return fmt.Errorf("groups of %s: %w", contact, err)
		}
		i.To = subscription == "to" || subscription == "both"
		i.From = subscription == "from" || subscription == "both"
		i.Ask, i.Approved = ask != 0, approved != 0
		into[i.JID] = i
	}
	return rows.Err()
}

func loadRequests(ctx context.Context, tx store.Tx, account int64, into map[jid.JID]Item) error {
	rows, err := tx.Query(ctx, `SELECT contact, stanza FROM roster_pending WHERE account = ?`, account)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var contact string
		var b []byte
		if err := rows.Scan(&contact, &b); err != nil {
			return err
		}
		j, err := jid.Parse(contact)
		if err != nil {
			return fmt.Errorf("contact %q: %w", contact, err)
		}
		i, ok := into[j]
		if !ok {
			i.JID = j
		}
		if i.Asked, err = stanza.Parse(b); err != nil {
			return fmt.Errorf("request of %s: %w", contact, err)
		}
		into[j] = i
	}
	return rows.Err()
}

func setVersion(ctx context.Context, tx store.Tx, account, version int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO roster_version (account, version) VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET version = excluded.version`, account, version)
	return err
}

func save(ctx context.Context, tx store.Tx, account int64, i Item, version int64) error {
	contact := i.JID.String()
	if err := saveItem(ctx, tx, account, contact, i, version); err != nil {
		return err
	}
	if i.Asked == nil {
		_, err := tx.Exec(ctx, `DELETE FROM roster_pending WHERE account = ? AND contact = ?`, account, contact)
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO roster_pending (account, contact, stanza, at) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, contact) DO UPDATE SET stanza = excluded.stanza`,
		account, contact, i.Asked.Append(nil, stanza.NSClient), time.Now().UnixMicro())
	return err
}

func saveItem(ctx context.Context, tx store.Tx, account int64, contact string, i Item, version int64) error {
	if !i.Listed {
		_, err := tx.Exec(ctx, `DELETE FROM roster_item WHERE account = ? AND contact = ?`, account, contact)
		return err
	}
	groups, err := json.Marshal(i.Groups)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO roster_item (account, contact, name, subscription, ask, approved, groups, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, contact) DO UPDATE SET name = excluded.name, subscription = excluded.subscription, ask = excluded.ask,
		approved = excluded.approved, groups = excluded.groups, version = excluded.version`,
		account, contact, i.Name, i.Subscription(), i.Ask, i.Approved, string(groups), version)
	return err
}

// forget removes everything of an account.
func forget(ctx context.Context, tx store.Tx, account int64) error {
	for _, q := range []string{
		`DELETE FROM roster_item WHERE account = ?`,
		`DELETE FROM roster_pending WHERE account = ?`,
		`DELETE FROM roster_version WHERE account = ?`,
	} {
		if _, err := tx.Exec(ctx, q, account); err != nil {
			return err
		}
	}
	return nil
}
