// Package account knows who may log in, and with what.
//
// Passwords are not kept: only salted keys for SCRAM, one for each hash a client may use. What is asked about accounts that do not
// exist, or are disabled, is answered as if they did, with keys that nothing matches.
package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"time"

	"chancery/base/lru"
	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/jid"
)

// ErrNone says that there is no such account.
var ErrNone = store.ErrNone

// Account is somebody who may log in here.
type Account struct {
	ID       int64
	JID      jid.JID // bare
	Disabled bool
	Admin    bool
	Created  time.Time
}

// Accounts finds and changes accounts. What was found is remembered for a minute, in bounded memory.
type Accounts struct {
	db       *store.DB
	settings *settings.Live
	secret   []byte // makes the keys of accounts that do not exist

	known   *lru.Cache[jid.JID, remembered]
	unknown *lru.Cache[jid.JID, time.Time] // apart, so that strangers' guesses do not push out users

	hashing chan struct{} // one place for each PBKDF2 that may run at the same time
}

type remembered struct {
	account Account
	at      time.Time
}

const (
	rememberKnown   = 1 << 16
	rememberUnknown = 1 << 13
	rememberFor     = time.Minute // other nodes change accounts too
)

// Open prepares the use of the accounts in db.
func Open(ctx context.Context, db *store.DB, live *settings.Live) (*Accounts, error) {
	secret, err := serverSecret(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("the secret for unknown accounts: %w", err)
	}
	return &Accounts{
		db: db, settings: live, secret: secret,
		known:   lru.New[jid.JID, remembered](rememberKnown),
		unknown: lru.New[jid.JID, time.Time](rememberUnknown),
		// A core stays free for those who are logged in.
		hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)),
	}, nil
}

// serverSecret is made once and then the same for all nodes and for ever.
func serverSecret(ctx context.Context, db *store.DB) (secret []byte, err error) {
	const find = `SELECT value FROM secret WHERE name = 'unknown-accounts'`
	if err := db.Read().QueryRow(ctx, find).Scan(&secret); !errors.Is(err, store.ErrNone) {
		return secret, err
	}
	fresh := make([]byte, 32)
	rand.Read(fresh)
	err = db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO secret (name, value) VALUES ('unknown-accounts', ?) ON CONFLICT (name) DO NOTHING`, fresh); err != nil {
			return err
		}
		return tx.QueryRow(ctx, find).Scan(&secret)
	})
	return secret, err
}

// Find returns the account of a bare address, ErrNone when there is none. It costs a look into a map for who was asked for
// within the last minute.
func (a *Accounts) Find(ctx context.Context, bare jid.JID) (Account, error) {
	now := time.Now()
	if r, ok := a.known.Get(bare); ok && now.Sub(r.at) < rememberFor {
		return r.account, nil
	}
	if at, ok := a.unknown.Get(bare); ok && now.Sub(at) < rememberFor {
		return Account{}, ErrNone
	}
	known, unknown := a.known.Generation(), a.unknown.Generation()
	found, err := Get(ctx, a.db.Read(), bare)
	switch {
	case err == nil:
		a.known.PutIf(known, bare, remembered{found, now})
	case errors.Is(err, ErrNone):
		a.unknown.PutIf(unknown, bare, now)
	}
	return found, err
}

// Changed makes the next Find look again. Call it after the commit of a change.
func (a *Accounts) Changed(bare jid.JID) {
	a.known.Delete(bare)
	a.unknown.Delete(bare)
}

// Get reads an account in a transaction, or with DB.Read; ErrNone when there is none.
func Get(ctx context.Context, tx store.Tx, bare jid.JID) (Account, error) {
	acc := Account{JID: bare}
	if bare.Local() == "" || !bare.IsBare() {
		return Account{}, ErrNone
	}
	var created int64
	err := tx.QueryRow(ctx, `SELECT id, disabled, admin, created FROM account WHERE domain = ? AND local = ?`, bare.Domain(), bare.Local()).
		Scan(&acc.ID, &acc.Disabled, &acc.Admin, &created)
	if err != nil {
		return Account{}, err
	}
	acc.Created = time.UnixMicro(created).UTC()
	return acc, nil
}

// ByID reads an account in a transaction, or with DB.Read; ErrNone when there is none.
func ByID(ctx context.Context, tx store.Tx, id int64) (Account, error) {
	acc := Account{ID: id}
	var domain, local string
	var created int64
	err := tx.QueryRow(ctx, `SELECT domain, local, disabled, admin, created FROM account WHERE id = ?`, id).Scan(&domain, &local, &acc.Disabled, &acc.Admin, &created)
	if err != nil {
		return Account{}, err
	}
	acc.Created = time.UnixMicro(created).UTC()
	acc.JID, err = jid.New(local, domain, "")
	return acc, err
}

// Seen notes that the account was used; it does not wait.
func (a *Accounts) Seen(id int64, at time.Time) {
	a.db.Append([]store.Row{store.Do(`UPDATE account SET last_seen = ? WHERE id = ? AND last_seen < ?`, at.UnixMicro(), id, at.UnixMicro())}, nil)
}

// LastSeen is when the account was last used; zero when never.
func (a *Accounts) LastSeen(ctx context.Context, id int64) (time.Time, error) {
	var at int64
	err := a.db.Read().QueryRow(ctx, `SELECT last_seen FROM account WHERE id = ?`, id).Scan(&at)
	return moment(at), err
}

// moment is zero for 0.
func moment(micro int64) time.Time {
	if micro == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micro).UTC()
}
