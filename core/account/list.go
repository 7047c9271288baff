package account

import (
	"context"
	"strings"
	"time"

	"chancery/xmpp/jid"
)

// Filter chooses accounts; its zero value takes all.
type Filter struct {
	Domain   string // canonical; "" for all
	Text     string // part of the name before the @
	Disabled *bool
	Admin    *bool
}

// Listed is an account with what lists show.
type Listed struct {
	Account
	LastSeen time.Time // zero when never
}

// maxPage bounds List.
const maxPage = 1000

// List returns at most limit accounts, 1000 at most, ordered by domain and name, that come after the given one; the zero JID
// begins at the start.
func (a *Accounts) List(ctx context.Context, f Filter, after jid.JID, limit int) ([]Listed, error) {
	query := `SELECT id, domain, local, disabled, admin, created, last_seen FROM account WHERE (domain > ? OR domain = ? AND local > ?)`
	args := []any{after.Domain(), after.Domain(), after.Local()}
	where, more := f.where()
	query += where + ` ORDER BY domain, local LIMIT ?`
	args = append(append(args, more...), min(max(limit, 1), maxPage))
	rows, err := a.db.Read().Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Listed
	for rows.Next() {
		var l Listed
		var domain, local string
		var created, seen int64
		if err := rows.Scan(&l.ID, &domain, &local, &l.Disabled, &l.Admin, &created, &seen); err != nil {
			return nil, err
		}
		if l.JID, err = jid.New(local, domain, ""); err != nil {
			return nil, err
		}
		l.Created, l.LastSeen = moment(created), moment(seen)
		all = append(all, l)
	}
	return all, rows.Err()
}

// Count says how many accounts a filter takes.
func (a *Accounts) Count(ctx context.Context, f Filter) (n int, err error) {
	where, args := f.where()
	err = a.db.Read().QueryRow(ctx, `SELECT COUNT(*) FROM account WHERE 1 = 1`+where, args...).Scan(&n)
	return n, err
}

func (f Filter) where() (query string, args []any) {
	if f.Domain != "" {
		query, args = query+` AND domain = ?`, append(args, f.Domain)
	}
	if f.Text != "" {
		escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(f.Text))
		query, args = query+` AND local LIKE ? ESCAPE '\'`, append(args, "%"+escaped+"%")
	}
	if f.Disabled != nil {
		query, args = query+` AND disabled = ?`, append(args, *f.Disabled)
	}
	if f.Admin != nil {
		query, args = query+` AND admin = ?`, append(args, *f.Admin)
	}
	return query, args
}
