package ops

import (
	"context"
	"time"

	"chancery/store"
)

// AuditRow says who did what, to whom, and when.
type AuditRow struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	Target string    `json:"target,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// maxPage bounds every list.
const maxPage = 1000

func (o *Ops) audit(ctx context.Context, tx store.Tx, by Actor, a act) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit (id, at, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?)`,
		o.DB.NewID(), time.Now().UnixMicro(), by.Name, a.action, a.target, a.detail)
	return err
}

// AuditFilter chooses audit rows.
type AuditFilter struct {
	Target string // exactly; "" for all
	Before int64  // rows with a smaller id; 0 for the newest
	Limit  int    // at most 1000; 0 is 100
}

// Audit lists audit rows, the newest first.
func (o *Ops) Audit(ctx context.Context, by Actor, f AuditFilter) ([]AuditRow, error) {
	if err := o.allow(by, ReadAudit, "audit.list"); err != nil {
		return nil, err
	}
	if f.Before <= 0 {
		f.Before = 1<<63 - 1
	}
	query, args := `SELECT id, at, actor, action, target, detail FROM audit WHERE id < ?`, []any{f.Before}
	if f.Target != "" {
		query, args = query+` AND target = ?`, append(args, f.Target)
	}
	rows, err := o.DB.Read().Query(ctx, query+` ORDER BY id DESC LIMIT ?`, append(args, page(f.Limit))...)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	all := []AuditRow{}
	for rows.Next() {
		var r AuditRow
		var at int64
		if err := rows.Scan(&r.ID, &at, &r.Actor, &r.Action, &r.Target, &r.Detail); err != nil {
			return nil, explain(err)
		}
		r.At = time.UnixMicro(at).UTC()
		all = append(all, r)
	}
	return all, explain(rows.Err())
}

func page(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, maxPage)
}
