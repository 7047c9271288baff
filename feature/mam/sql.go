package mam

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"chancery/store"
)

var (
	messages = &store.Table{Name: "message", Columns: []string{"id", "sender", "recipient", "conversation", "stanza"}}
	tails    = &store.Table{Name: "archive_tail", Columns: []string{"id"}}
)

// Columns of messages.
const (
	colID = iota
	colSender
	colRecipient
	colConversation
	colStanza
)

// message is a row of the table but for its stanza; 0 is NULL.
type message struct{ id, sender, recipient, conversation int64 }

func (m message) owners() []int64 {
	return slices.DeleteFunc([]int64{m.sender, m.recipient}, func(o int64) bool { return o == 0 })
}

// arm finds ids in one index; the bounds are exclusive.
func arm(table, column, order string) string {
	return fmt.Sprintf(`SELECT id FROM %s WHERE %s = ? AND id > ? AND id < ? ORDER BY id %s LIMIT ?`, table, column, order)
}

// arms finds ids in two. Each of them has its own LIMIT, so that both databases
// read that much and no more.
func arms(a, b, order string) string {
	return fmt.Sprintf(`SELECT id FROM (%s) AS a UNION ALL SELECT id FROM (%s) AS b ORDER BY id %s LIMIT ?`, a, b, order)
}

// finders are the statements behind a search, for both directions.
type finders struct {
	owner [2]string // one arm on SQLite, where archive is a table
	with  [2]string
	arms  int // of owner
}

func newFinders(driver string) finders {
	f := finders{arms: 1}
	for i, order := range [...]string{"ASC", "DESC"} {
		if driver == store.SQLite {
			f.owner[i] = arm("archive", "owner", order)
			w := arm("archive_with", "conversation", order)
			f.with[i] = arms(w, w, order)
			continue
		}
		f.arms = 2
		f.owner[i] = arms(arm("message", "sender", order), arm("message", "recipient", order), order)
		w := arm("message", "conversation", order)
		f.with[i] = arms(w, w, order)
	}
	return f
}

// find runs a search in the index.
func (f finders) find(ctx context.Context, tx store.Tx, s search) ([]int64, error) {
	direction := 0
	if s.backwards {
		direction = 1
	}
	query, keys := f.owner[direction], []int64{s.owner, s.owner}[:f.arms]
	if s.conversations != nil {
		query, keys = f.with[direction], s.conversations[:]
	}
	var args []any
	for _, k := range keys {
		args = append(args, k, s.after, s.before, s.limit)
	}
	if len(keys) > 1 {
		args = append(args, s.limit)
	}
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ids := make([]int64, 0, min(s.limit, 64))
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// marks is a list of placeholders for n values or more: a power of two, so that
// few statements serve all lengths.
func marks(n int) (list string, size int) {
	size = 1
	for size < n {
		size *= 2
	}
	return strings.TrimSuffix(strings.Repeat("?, ", size), ", "), size
}

// padded are ids as arguments, the last repeated up to size.
func padded(ids []int64, size int, more ...any) []any {
	args := make([]any, 0, size+len(more))
	for i := range size {
		args = append(args, ids[min(i, len(ids)-1)])
	}
	return append(args, more...)
}

// fetch reads messages of owner's archive, in any order. The stanza is valid
// until each returns.
func fetch(ctx context.Context, tx store.Tx, owner int64, ids []int64, each func(id int64, stanza []byte)) error {
	if len(ids) == 0 {
		return nil
	}
	list, size := marks(len(ids))
	rows, err := tx.Query(ctx, `SELECT id, stanza FROM message WHERE id IN (`+list+`) AND (sender = ? OR recipient = ?)`,
		padded(ids, size, owner, owner)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var stanza sql.RawBytes
		if err := rows.Scan(&id, &stanza); err != nil {
			return err
		}
		each(id, stanza)
	}
	return rows.Err()
}

// holds tells whether all ids are in owner's archive.
func holds(ctx context.Context, tx store.Tx, owner int64, ids []int64) (bool, error) {
	for part := range slices.Chunk(ids, 64) {
		list, size := marks(len(part))
		var n int
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM message WHERE id IN (`+list+`) AND (sender = ? OR recipient = ?)`,
			padded(part, size, owner, owner)...).Scan(&n)
		if err != nil || n != len(part) {
			return false, err
		}
	}
	return true, nil
}

// loadTail reads what an earlier process had not indexed.
func loadTail(ctx context.Context, tx store.Tx, each func(message)) error {
	rows, err := tx.Query(ctx, `SELECT m.id, COALESCE(m.sender, 0), COALESCE(m.recipient, 0), m.conversation
		FROM archive_tail t JOIN message m ON m.id = t.id ORDER BY t.id`)
	if err != nil {
		return err
	}
	return scanMessages(rows, each)
}

// older reads the oldest messages below an id.
func older(ctx context.Context, tx store.Tx, than int64, limit int) (list []message, err error) {
	rows, err := tx.Query(ctx, `SELECT id, COALESCE(sender, 0), COALESCE(recipient, 0), conversation FROM message
		WHERE id < ? ORDER BY id LIMIT ?`, than, limit)
	if err != nil {
		return nil, err
	}
	err = scanMessages(rows, func(m message) { list = append(list, m) })
	return list, err
}

func scanMessages(rows *sql.Rows, each func(message)) error {
	defer rows.Close()
	for rows.Next() {
		var m message
		if err := rows.Scan(&m.id, &m.sender, &m.recipient, &m.conversation); err != nil {
			return err
		}
		each(m)
	}
	return rows.Err()
}

func insertOwners(ctx context.Context, tx store.Tx, rows []pair) error {
	return insertPairs(ctx, tx, "archive (owner, id)", rows)
}

func insertConversations(ctx context.Context, tx store.Tx, rows []pair) error {
	return insertPairs(ctx, tx, "archive_with (conversation, id)", rows)
}

// insertPairs writes many rows with few statements, again in powers of two.
func insertPairs(ctx context.Context, tx store.Tx, into string, rows []pair) error {
	for len(rows) > 0 {
		n := 64
		for n > len(rows) {
			n /= 2
		}
		args := make([]any, 0, 2*n)
		for _, p := range rows[:n] {
			args = append(args, p.key, p.id)
		}
		rows = rows[n:]
		_, err := tx.Exec(ctx, `INSERT INTO `+into+` VALUES (?, ?)`+strings.Repeat(`, (?, ?)`, n-1)+` ON CONFLICT DO NOTHING`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func deleteOwners(ctx context.Context, tx store.Tx, rows []pair) error {
	return deletePairs(ctx, tx, `DELETE FROM archive WHERE owner = ? AND id = ?`, rows)
}

func deleteConversations(ctx context.Context, tx store.Tx, rows []pair) error {
	return deletePairs(ctx, tx, `DELETE FROM archive_with WHERE conversation = ? AND id = ?`, rows)
}

func deletePairs(ctx context.Context, tx store.Tx, query string, rows []pair) error {
	for _, p := range rows {
		if _, err := tx.Exec(ctx, query, p.key, p.id); err != nil {
			return err
		}
	}
	return nil
}

// deleteIDs removes rows of a table whose key is the id of a message.
func deleteIDs(ctx context.Context, tx store.Tx, table string, ids []int64) error {
	for part := range slices.Chunk(ids, 64) {
		list, size := marks(len(part))
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE id IN (`+list+`)`, padded(part, size)...); err != nil {
			return err
		}
	}
	return nil
}
