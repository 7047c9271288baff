package ops

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"chancery/core/account"
	"chancery/store"
	"chancery/xmpp/jid"
	"chancery/xmpp/stream"
)

// User is an account as lists show it.
type User struct {
	JID      jid.JID    `json:"jid"`
	Admin    bool       `json:"admin"`
	Disabled bool       `json:"disabled"`
	Created  time.Time  `json:"created"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	Sessions int        `json:"sessions"` // on this node
}

// NewUser is an account to be made.
type NewUser struct {
	JID      string `json:"jid"`
	Password string `json:"password,omitempty"` // "" to have one made
	Admin    bool   `json:"admin,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
}

// Credential is what somebody logs in with. Password is set only when it was made here: nobody can show it again.
type Credential struct {
	JID      jid.JID `json:"jid"`
	Password string  `json:"password,omitempty"`
}

// AddUser makes an account.
func (o *Ops) AddUser(ctx context.Context, by Actor, n NewUser) (Credential, error) {
	if err := o.allow(by, ChangeAccounts, "user.add"); err != nil {
		return Credential{}, err
	}
	j, err := o.served(n.JID)
	if err != nil {
		return Credential{}, err
	}
	keys, made, err := o.derive(ctx, n.Password)
	if err != nil {
		return Credential{}, err
	}
	err = o.do(ctx, by, act{ChangeAccounts, "user.add", j.String(), flags(n)}, func(tx store.Tx) error {
		a, err := o.Accounts.CreateWith(ctx, tx, j, keys, n.Admin)
		if err == nil && n.Disabled {
			err = o.Accounts.SetDisabled(ctx, tx, a.ID, true)
		}
		return err
	})
	if err != nil {
		return Credential{}, err
	}
	o.Accounts.Changed(j)
	return Credential{j, made}, nil
}

func flags(n NewUser) string {
	switch {
	case n.Admin && n.Disabled:
		return "administrator, disabled"
	case n.Admin:
		return "administrator"
	case n.Disabled:
		return "disabled"
	}
	return ""
}

// derive prepares a password before the transaction; an empty one is made, and then returned.
func (o *Ops) derive(ctx context.Context, password string) (keys account.Credentials, made string, err error) {
	if password == "" {
		made = GeneratePassword()
		password = made
	}
	if _, err := account.Prepare(password); err != nil {
		return keys, "", invalid("%v", err)
	}
	keys, err = o.Accounts.Derive(ctx, password)
	return keys, made, explain(err)
}

// UserFilter chooses accounts; its zero value takes the first hundred.
type UserFilter struct {
	Domain   string
	Text     string // part of the name before the @
	Admin    *bool
	Disabled *bool
	After    string // the last address of the page before
	Limit    int    // at most 1000
}

// Users lists accounts in the order of domain and name.
func (o *Ops) Users(ctx context.Context, by Actor, f UserFilter) ([]User, error) {
	if err := o.allow(by, ReadAccounts, "user.list"); err != nil {
		return nil, err
	}
	var after jid.JID
	if f.After != "" {
		var err error
		if after, err = bare(f.After); err != nil {
			return nil, err
		}
	}
	if f.Domain != "" {
		d, err := jid.New("", f.Domain, "")
		if err != nil {
			return nil, invalid("%q is no domain: %v", f.Domain, err)
		}
		f.Domain = d.Domain()
	}
	rows, err := o.Accounts.List(ctx, account.Filter{Domain: f.Domain, Text: f.Text, Admin: f.Admin, Disabled: f.Disabled}, after, page(f.Limit))
	if err != nil {
		return nil, explain(err)
	}
	all := make([]User, len(rows))
	for i, r := range rows {
		all[i] = User{JID: r.JID, Admin: r.Admin, Disabled: r.Disabled, Created: r.Created, LastSeen: stamp(r.LastSeen)}
		if o.Online != nil {
			all[i].Sessions = len(o.Online.Sessions(r.JID))
		}
	}
	return all, nil
}

// SetPassword replaces a password; "" has one made. Sessions that are there stay: end them with EndSessions.
func (o *Ops) SetPassword(ctx context.Context, by Actor, user, password string) (Credential, error) {
	if err := o.allow(by, ChangeAccounts, "user.passwd"); err != nil {
		return Credential{}, err
	}
	j, err := bare(user)
	if err != nil {
		return Credential{}, err
	}
	keys, made, err := o.derive(ctx, password)
	if err != nil {
		return Credential{}, err
	}
	err = o.change(ctx, by, act{action: "user.passwd"}, j, func(tx store.Tx, a account.Account) error {
		return o.Accounts.SetCredentials(ctx, tx, a.ID, keys)
	})
	return Credential{j, made}, err
}

// SetDisabled keeps somebody out, and ends his sessions, or lets him in again.
func (o *Ops) SetDisabled(ctx context.Context, by Actor, user string, disabled bool) error {
	j, err := bare(user)
	if err != nil {
		return err
	}
	a := act{action: "user.enable"}
	if disabled {
		a.action = "user.disable"
	}
	err = o.change(ctx, by, a, j, func(tx store.Tx, a account.Account) error {
		return o.Accounts.SetDisabled(ctx, tx, a.ID, disabled)
	})
	if err == nil && disabled {
		o.end(j, stream.Fail(stream.PolicyViolation, "this account has been disabled"))
	}
	return err
}

// SetAdmin makes somebody an administrator, or no longer.
func (o *Ops) SetAdmin(ctx context.Context, by Actor, user string, admin bool) error {
	j, err := bare(user)
	if err != nil {
		return err
	}
	return o.change(ctx, by, act{action: "user.admin", detail: fmt.Sprint(admin)}, j, func(tx store.Tx, a account.Account) error {
		return o.Accounts.SetAdmin(ctx, tx, a.ID, admin)
	})
}

// DeleteUser removes an account with everything that is kept of it, and ends its sessions.
func (o *Ops) DeleteUser(ctx context.Context, by Actor, user string) error {
	if err := o.allow(by, ChangeAccounts, "user.delete"); err != nil {
		return err
	}
	j, err := bare(user)
	if err != nil {
		return err
	}
	tell, err := o.farewell(ctx, j)
	if err != nil {
		return explain(err)
	}
	err = o.change(ctx, by, act{action: "user.delete"}, j, func(tx store.Tx, a account.Account) error {
		return o.Accounts.Delete(ctx, tx, a.ID, o.Forget...)
	})
	if err == nil {
		tell(ctx)
		o.end(j, stream.Fail(stream.NotAuthorized, "this account has been deleted"))
	}
	return err
}

// farewell is Farewell for an account that may not exist.
func (o *Ops) farewell(ctx context.Context, j jid.JID) (tell func(context.Context), err error) {
	nobody := func(context.Context) {}
	a, err := o.Accounts.Find(ctx, j)
	if errors.Is(err, account.ErrNone) || o.Farewell == nil {
		return nobody, nil
	}
	if err != nil {
		return nil, err
	}
	return o.Farewell(ctx, a)
}

// change is do for an account that must exist.
func (o *Ops) change(ctx context.Context, by Actor, a act, j jid.JID, f func(store.Tx, account.Account) error) error {
	a.right, a.target = ChangeAccounts, j.String()
	err := o.do(ctx, by, a, func(tx store.Tx) error {
		found, err := o.account(ctx, tx, j)
		if err != nil {
			return err
		}
		return f(tx, found)
	})
	o.Accounts.Changed(j)
	return err
}

// end ends the sessions of an account.
func (o *Ops) end(j jid.JID, reason *stream.Error) (n int) {
	if o.Online == nil {
		return 0
	}
	for _, s := range o.Online.Sessions(j) {
		s.End(reason)
		n++
	}
	return n
}

// GeneratePassword makes a password of 79 random bits that can be read out and typed: abcd-efgh-jkmn-pqrs, without letters
// that are taken for others.
func GeneratePassword() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789"
	const even = 256 - 256%len(letters) // bytes below it hit every letter equally often
	out := make([]byte, 0, 19)
	for random := make([]byte, 1); len(out) < cap(out); {
		if rand.Read(random); int(random[0]) >= even {
			continue
		}
		if len(out)%5 == 4 {
			out = append(out, '-')
		}
		out = append(out, letters[int(random[0])%len(letters)])
	}
	return string(out)
}
