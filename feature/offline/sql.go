package offline

import (
	"context"
	"time"

	"chancery/store"
)

var table = &store.Table{Name: "offline", Columns: []string{"account", "id", "at", "stanza"}, Key: 2}

func row(account, id int64, at time.Time, stanza []byte) store.Row {
	return store.Row{Table: table, Values: []any{account, id, at.UnixMicro(), stanza}}
}

func remove(account, id int64) store.Row {
	return store.Do(`DELETE FROM offline WHERE account = ? AND id = ?`, account, id)
}

// load reads messages in the order in which they came.
func load(ctx context.Context, tx store.Tx, account, after int64, limit int) (list []kept, err error) {
	rows, err := tx.Query(ctx, `SELECT id, at, stanza FROM offline WHERE account = ? AND id > ? ORDER BY id LIMIT ?`, account, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k kept
		var at int64
		if err := rows.Scan(&k.id, &at, &k.stanza); err != nil {
			return nil, err
		}
		k.at = time.UnixMicro(at).UTC()
		list = append(list, k)
	}
	return list, rows.Err()
}

func count(ctx context.Context, tx store.Tx, account int64) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM offline WHERE account = ?`, account).Scan(&n)
	return n, err
}

func forget(ctx context.Context, tx store.Tx, account int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM offline WHERE account = ?`, account)
	return err
}
