package mam

import (
	"context"
	"errors"
	"slices"
	"time"

	"chancery/core/account"
	"chancery/store"
	"chancery/xmpp/jid"
)

const (
	sweepEvery = time.Minute
	sweepPause = 50 * time.Millisecond // between batches: others want the disk too
	sweepBatch = 4096                  // messages whose index rows are deleted together, sorted
	eraseBatch = 256
	// eraseAgain is how long messages of a removed account are still looked
	// for: one that was on its way may come last.
	eraseAgain = time.Hour
)

// Run does what need not be done at once: it indexes, deletes what is too old
// (archive.retention), and erases the archives of removed accounts, in small
// steps between the writes of others. It returns when ctx ends; whatever is left
// is done after the next start.
func (m *MAM) Run(ctx context.Context) {
	var wake chan struct{}
	if m.tail != nil {
		wake = m.tail.wake
	}
	timer := time.NewTimer(sweepPause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-timer.C:
		}
		more, err := m.work(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.log.Warn("the archive is tidied up later", "err", err)
			timer.Reset(time.Second)
		case more:
			timer.Reset(sweepPause)
		default:
			timer.Reset(sweepEvery)
		}
	}
}

// work does a bounded part, and tells whether there is more.
func (m *MAM) work(ctx context.Context) (more bool, err error) {
	if m.tail != nil && m.tail.full() {
		if err := m.index(ctx); err != nil {
			return false, err
		}
	}
	if more, err = m.sweep(ctx); err != nil {
		return false, err
	}
	rest, err := m.erase(ctx)
	return more || rest, err
}

// sweep deletes messages that are too old.
func (m *MAM) sweep(ctx context.Context) (more bool, err error) {
	list, err := older(ctx, m.db.Read(), m.oldest()+1, sweepBatch)
	if err != nil || len(list) == 0 {
		return false, err
	}
	return len(list) == sweepBatch, m.delete(ctx, list)
}

// delete removes messages, their index rows first: should it be cut short, the
// rest is found again.
func (m *MAM) delete(ctx context.Context, list []message) error {
	tables := []string{"message"}
	if m.tail != nil {
		tables = []string{"archive_tail", "message"}
		var owners, conversations []pair
		for _, msg := range list {
			for _, o := range msg.owners() {
				owners = append(owners, pair{o, msg.id})
			}
			conversations = append(conversations, pair{msg.conversation, msg.id})
		}
		if err := m.steps(ctx, owners, deleteOwners); err != nil {
			return err
		}
		if err := m.steps(ctx, conversations, deleteConversations); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(list, step) {
		ids := make([]int64, len(part))
		for i := range part {
			ids[i] = part[i].id
		}
		err := m.db.Write(ctx, func(tx store.Tx) error {
			for _, t := range tables {
				if err := deleteIDs(ctx, tx, t, ids); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	m.tail.forget(list)
	return nil
}

// forget removes an account: its preferences now, and a note that makes erase
// remove its messages, which may be too many for one transaction.
func (m *MAM) forget(ctx context.Context, tx store.Tx, a account.Account) error {
	if _, err := tx.Exec(ctx, `DELETE FROM archive_prefs WHERE account = ?`, a.ID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO archive_gone (owner, at) VALUES (?, ?) ON CONFLICT (owner) DO NOTHING`, a.ID, time.Now().UnixMicro())
	return err
}

// erase removes messages of one account that is gone.
func (m *MAM) erase(ctx context.Context) (more bool, err error) {
	rows, err := m.db.Read().Query(ctx, `SELECT owner, at FROM archive_gone`)
	if err != nil {
		return false, err
	}
	var gone []pair
	for rows.Next() {
		var p pair
		if err := rows.Scan(&p.key, &p.id); err != nil {
			rows.Close()
			return false, err
		}
		gone = append(gone, p)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return false, err
	}
	for _, g := range gone {
		rest, err := m.eraseOwner(ctx, g.key, time.UnixMicro(g.id))
		if err != nil {
			return false, err
		}
		more = more || rest
	}
	return more, nil
}

// eraseOwner takes an account out of some of its messages. What somebody else
// keeps too stays for him.
func (m *MAM) eraseOwner(ctx context.Context, owner int64, at time.Time) (more bool, err error) {
	s := everything(owner)
	s.limit = eraseBatch
	if len(m.tail.find(s)) > 0 {
		if err := m.index(ctx); err != nil {
			return false, err
		}
	}
	ids, err := m.finders.find(ctx, m.db.Read(), s)
	if err != nil {
		return false, err
	}
	if len(ids) == 0 {
		if time.Since(at) > eraseAgain {
			err = m.db.Write(ctx, func(tx store.Tx) error {
				_, err := tx.Exec(ctx, `DELETE FROM archive_gone WHERE owner = ?`, owner)
				return err
			})
		}
		return false, err
	}
	return true, m.db.Write(ctx, func(tx store.Tx) error {
		for _, id := range ids {
			if err := m.eraseMessage(ctx, tx, owner, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *MAM) eraseMessage(ctx context.Context, tx store.Tx, owner, id int64) error {
	var msg message
	var stanza []byte
	err := tx.QueryRow(ctx, `SELECT id, COALESCE(sender, 0), COALESCE(recipient, 0), conversation, stanza FROM message WHERE id = ?`, id).
		Scan(&msg.id, &msg.sender, &msg.recipient, &msg.conversation, &stanza)
	if err != nil && !errors.Is(err, store.ErrNone) {
		return err
	}
	old := []pair{{msg.conversation, id}}
	if m.tail != nil {
		if err := deleteOwners(ctx, tx, []pair{{owner, id}}); err != nil {
			return err
		}
		if err := deleteConversations(ctx, tx, old); err != nil {
			return err
		}
	}
	from, to := addresses(stanza)
	keeper := from
	if msg.sender == owner {
		msg.sender, keeper = 0, to
	}
	if msg.recipient == owner {
		msg.recipient = 0
	}
	if msg.sender == 0 && msg.recipient == 0 {
		_, err := tx.Exec(ctx, `DELETE FROM message WHERE id = ?`, id)
		return err
	}
	c, err := m.kept(from, to, keeper)
	if err != nil {
		return err
	}
	if m.tail != nil {
		if err := insertConversations(ctx, tx, []pair{{c, id}}); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE message SET sender = NULLIF(CAST(? AS BIGINT), 0), recipient = NULLIF(CAST(? AS BIGINT), 0), conversation = ? WHERE id = ?`,
		msg.sender, msg.recipient, c, id)
	return err
}

// kept is the conversation of a message that one of the two keeps.
func (m *MAM) kept(addresses ...string) (int64, error) {
	var bares [3]jid.JID
	for i, a := range addresses {
		j, err := jid.Parse(a)
		if err != nil {
			return 0, err
		}
		bares[i] = j.Bare()
	}
	return m.keys.conversation(bares[0], bares[1], bares[2]), nil
}
