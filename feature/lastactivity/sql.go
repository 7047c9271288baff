package lastactivity

import (
	"context"
	"strconv"
	"time"

	"chancery/store"
)

var table = &store.Table{Name: "last_activity", Columns: []string{"account", "at", "status"}, Key: 1}

func row(account int64, at time.Time, status string) store.Row {
	return store.Row{Table: table, Values: []any{account, at.UnixMicro(), status}, Replace: strconv.FormatInt(account, 10)}
}

func load(ctx context.Context, tx store.Tx, account int64) (at time.Time, status string, err error) {
	var micro int64
	err = tx.QueryRow(ctx, `SELECT at, status FROM last_activity WHERE account = ?`, account).Scan(&micro, &status)
	return time.UnixMicro(micro), status, err
}

func forget(ctx context.Context, tx store.Tx, account int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM last_activity WHERE account = ?`, account)
	return err
}
