package blocking

import (
	"context"

	"chancery/store"
	"chancery/xmpp/jid"
)

var itemTable = &store.Table{Name: "block_item", Columns: []string{"account", "contact"}, Key: 2}

// load reads an account's list; it is empty for most.
func load(ctx context.Context, tx store.Tx, account int64) (list, error) {
	rows, err := tx.Query(ctx, `SELECT contact FROM block_item WHERE account = ?`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	l := list{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		j, err := jid.Parse(text)
		if err != nil {
			return nil, err
		}
		l[j] = struct{}{}
	}
	return l, rows.Err()
}

func addRow(account int64, contact jid.JID) store.Row {
	return store.Row{Table: itemTable, Values: []any{account, contact.String()}}
}

func removeRow(account int64, contact jid.JID) store.Row {
	return store.Do(`DELETE FROM block_item WHERE account = ? AND contact = ?`, account, contact.String())
}

func removeAllRow(account int64) store.Row {
	return store.Do(`DELETE FROM block_item WHERE account = ?`, account)
}

func forget(ctx context.Context, tx store.Tx, account int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM block_item WHERE account = ?`, account)
	return err
}
