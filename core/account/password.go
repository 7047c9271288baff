package account

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/text/secure/precis"

	"chancery/store"
	"chancery/xmpp/jid"
	"chancery/xmpp/sasl"
)

// ErrDenied is the answer to a wrong password, an unknown account and a disabled one: nobody can tell them apart.
var ErrDenied = errors.New("no such account, or not this password")

// maxPassword bounds a password in bytes, before and after preparation.
const maxPassword = 1023

// Prepare brings a password into the form in which it is compared (RFC 8265 §4.2, OpaqueString).
func Prepare(password string) (string, error) {
	if len(password) > maxPassword {
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	}
	p, err := precis.OpaqueString.String(password)
	switch {
	case password == "":
		return "", errors.New("the password is empty")
	case err != nil:
		return "", errors.New("the password has characters that cannot be typed reliably (RFC 8265 §4.2)")
	case len(p) > maxPassword:
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	}
	return p, nil
}

// Credentials are the keys of one password for all families.
type Credentials struct {
	keys map[sasl.Hash]sasl.Keys
}

// families are the hashes that we keep keys for. Where only approved cryptography may be used SHA-1 is not.
func families() []sasl.Hash {
	all := sasl.Hashes()
	if fips140.Enforced() {
		all = slices.DeleteFunc(all, func(h sasl.Hash) bool { return h == sasl.SHA1 })
	}
	return all
}

// Derive turns a password into what is kept of it. It takes some milliseconds, and waits while too many others do the same:
// call it before the transaction, not in it.
func (a *Accounts) Derive(ctx context.Context, password string) (Credentials, error) {
	p, err := Prepare(password)
	if err != nil {
		return Credentials{}, err
	}
	release, err := a.place(ctx)
	if err != nil {
		return Credentials{}, err
	}
	defer release()
	return a.derive(p), nil
}

func (a *Accounts) derive(prepared string) Credentials {
	c := Credentials{keys: map[sasl.Hash]sasl.Keys{}}
	iterations := a.settings.Load().Login.Iterations
	for _, h := range families() {
		c.keys[h] = sasl.Derive(h, prepared, sasl.NewSalt(), iterations)
	}
	return c
}

// place waits until hashing may begin.
func (a *Accounts) place(ctx context.Context) (release func(), err error) {
	select {
	case a.hashing <- struct{}{}:
		return func() { <-a.hashing }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to check a password: %w", context.Cause(ctx))
	}
}

func (c Credentials) write(ctx context.Context, tx store.Tx, id int64) error {
	for _, h := range sasl.Hashes() {
		k, ok := c.keys[h]
		if !ok {
			continue
		}
		_, err := tx.Exec(ctx, `INSERT INTO credential (account, family, salt, iterations, stored_key, server_key) VALUES (?, ?, ?, ?, ?, ?)`,
			id, h.String(), k.Salt, k.Iterations, k.StoredKey, k.ServerKey)
		if err != nil {
			return err
		}
	}
	return nil
}

// Keys returns what a SCRAM exchange needs. An account that is unknown or disabled, or has no keys of this family, gets ones that
// are always the same, match nothing, and are marked.
func (a *Accounts) Keys(ctx context.Context, bare jid.JID, h sasl.Hash) (sasl.Keys, error) {
	// The steps are the same whoever is asked for, and no cache says who was asked for before.
	fake := sasl.FakeKeys(a.secret, h, bare.String(), a.settings.Load().Login.Iterations)
	k := sasl.Keys{}
	err := a.db.Read().QueryRow(ctx, `SELECT c.salt, c.iterations, c.stored_key, c.server_key FROM account a JOIN credential c ON c.account = a.id
		WHERE a.domain = ? AND a.local = ? AND a.disabled = 0 AND c.family = ?`, bare.Domain(), bare.Local(), h.String()).
		Scan(&k.Salt, &k.Iterations, &k.StoredKey, &k.ServerKey)
	if errors.Is(err, store.ErrNone) {
		return fake, nil
	}
	return k, err
}

// CheckPassword is for mechanisms that show the password (RFC 4616). Its error is ErrDenied, in the same time whether the account
// exists or not, or one of the database.
func (a *Accounts) CheckPassword(ctx context.Context, bare jid.JID, password string) (Account, error) {
	prepared, err := Prepare(password)
	if err != nil {
		return Account{}, ErrDenied // says nothing of the account
	}
	// SHA-256 is the quickest that is approved everywhere; SetPassword always makes it.
	k, err := a.Keys(ctx, bare, sasl.SHA256)
	if err != nil {
		return Account{}, err
	}
	release, err := a.place(ctx)
	if err != nil {
		return Account{}, err
	}
	defer release()
	if !k.Matches(sasl.SHA256, prepared) {
		return Account{}, ErrDenied
	}
	return a.Find(ctx, bare)
}
