package privatexml

import (
	"context"
	"errors"

	"chancery/store"
	"chancery/xmpp/elem"
)

// load reads the bytes of an element; nil when there is none.
func load(ctx context.Context, tx store.Tx, account int64, name elem.Name) ([]byte, error) {
	var xml []byte
	err := tx.QueryRow(ctx, `SELECT xml FROM private_xml WHERE account = ? AND ns = ? AND name = ?`,
		account, name.Space, name.Local).Scan(&xml)
	if errors.Is(err, store.ErrNone) {
		return nil, nil
	}
	return xml, err
}

// put stores an element, or removes what an empty one stands for.
func put(ctx context.Context, tx store.Tx, account int64, n *elem.Node) error {
	if empty(n) {
		_, err := tx.Exec(ctx, `DELETE FROM private_xml WHERE account = ? AND ns = ? AND name = ?`,
			account, n.Name.Space, n.Name.Local)
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO private_xml (account, ns, name, xml) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, ns, name) DO UPDATE SET xml = excluded.xml`,
		account, n.Name.Space, n.Name.Local, n.Append(nil, NS))
	return err
}

// size tells how many elements an account keeps, and in how many bytes.
func size(ctx context.Context, tx store.Tx, account int64) (count, bytes int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(LENGTH(xml)), 0) AS BIGINT) FROM private_xml WHERE account = ?`,
		account).Scan(&count, &bytes)
	return count, bytes, err
}

func forget(ctx context.Context, tx store.Tx, account int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM private_xml WHERE account = ?`, account)
	return err
}
