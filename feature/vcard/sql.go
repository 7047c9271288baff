package vcard

import (
	"context"
	"errors"

	"chancery/store"
)

// load reads a vCard as it was written; nil when there is none.
func load(ctx context.Context, tx store.Tx, account int64) ([]byte, error) {
	var xml []byte
	err := tx.QueryRow(ctx, `SELECT xml FROM vcard WHERE account = ?`, account).Scan(&xml)
	if errors.Is(err, store.ErrNone) {
		return nil, nil
	}
	return xml, err
}

func put(ctx context.Context, tx store.Tx, account int64, xml []byte, hash string) error {
	_, err := tx.Exec(ctx, `INSERT INTO vcard (account, xml, hash) VALUES (?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET xml = excluded.xml, hash = excluded.hash`, account, xml, hash)
	return err
}

func forget(ctx context.Context, tx store.Tx, account int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM vcard WHERE account = ?`, account)
	return err
}
