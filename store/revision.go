package store

import (
	"context"
	"errors"
)

// Bump counts a change of something that nodes keep in memory, such as "settings", and returns the new number.
func Bump(ctx context.Context, tx Tx, name string) (n int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO revision (name, n) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n = revision.n + 1 RETURNING n`, name).Scan(&n)
	return n, err
}

// Revision is the number of changes so far.
func Revision(ctx context.Context, tx Tx, name string) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT n FROM revision WHERE name = ?`, name).Scan(&n)
	if errors.Is(err, ErrNone) {
		return 0, nil
	}
	return n, err
}
