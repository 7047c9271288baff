package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chancery/store"
	"chancery/xmpp/jid"
)

// Create makes an account; store.ErrExists when there is one of that address. The password costs some milliseconds in which the
// transaction keeps others waiting: whoever makes many uses Derive and CreateWith. Call Changed after the commit.
func (a *Accounts) Create(ctx context.Context, tx store.Tx, bare jid.JID, password string, admin bool) (Account, error) {
	p, err := Prepare(password)
	if err != nil {
		return Account{}, err
	}
	return a.CreateWith(ctx, tx, bare, a.derive(p), admin)
}

// CreateWith is Create with a password that was derived before the transaction.
func (a *Accounts) CreateWith(ctx context.Context, tx store.Tx, bare jid.JID, c Credentials, admin bool) (Account, error) {
	if bare.Local() == "" || !bare.IsBare() {
		return Account{}, fmt.Errorf("%s is not the address of an account; write name@domain", bare)
	}
	acc := Account{ID: a.db.NewID(), JID: bare, Admin: admin, Created: time.Now().UTC().Truncate(time.Microsecond)}
	n, err := tx.Exec(ctx, `INSERT INTO account (id, domain, local, disabled, admin, created) VALUES (?, ?, ?, 0, ?, ?) ON CONFLICT (domain, local) DO NOTHING`,
		acc.ID, bare.Domain(), bare.Local(), admin, acc.Created.UnixMicro())
	switch {
	case err != nil:
		return Account{}, err
	case n == 0:
		return Account{}, fmt.Errorf("the account %s %w", bare, store.ErrExists)
	}
	return acc, c.write(ctx, tx, acc.ID)
}

// SetPassword replaces the password; see Create for its cost.
func (a *Accounts) SetPassword(ctx context.Context, tx store.Tx, id int64, password string) error {
	p, err := Prepare(password)
	if err != nil {
		return err
	}
	return a.SetCredentials(ctx, tx, id, a.derive(p))
}

// SetCredentials is SetPassword with a password that was derived before the transaction.
func (a *Accounts) SetCredentials(ctx context.Context, tx store.Tx, id int64, c Credentials) error {
	if len(c.keys) == 0 {
		return errors.New("there is no password")
	}
	if _, err := tx.Exec(ctx, `DELETE FROM credential WHERE account = ?`, id); err != nil {
		return err
	}
	return c.write(ctx, tx, id)
}

// SetDisabled keeps somebody from logging in, or lets him again; ErrNone when there is no such account. Call Changed after the
// commit, and end the sessions.
func (a *Accounts) SetDisabled(ctx context.Context, tx store.Tx, id int64, disabled bool) error {
	return one(tx.Exec(ctx, `UPDATE account SET disabled = ? WHERE id = ?`, disabled, id))
}

// SetAdmin makes somebody an administrator, or no longer.
func (a *Accounts) SetAdmin(ctx context.Context, tx store.Tx, id int64, admin bool) error {
	return one(tx.Exec(ctx, `UPDATE account SET admin = ? WHERE id = ?`, admin, id))
}

func one(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrNone
	}
	return err
}

// Delete removes an account and, in the same transaction, everything that forget removes; ErrNone when there is no such
// account. Call Changed after the commit.
func (a *Accounts) Delete(ctx context.Context, tx store.Tx, id int64, forget ...func(context.Context, store.Tx, Account) error) error {
	acc, err := ByID(ctx, tx, id)
	if err != nil {
		return err
	}
	for _, f := range forget {
		if f == nil {
			continue
		}
		if err := f(ctx, tx, acc); err != nil {
			return fmt.Errorf("deleting %s: %w", acc.JID, err)
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM credential WHERE account = ?`, id); err != nil {
		return err
	}
	return one(tx.Exec(ctx, `DELETE FROM account WHERE id = ?`, id))
}
