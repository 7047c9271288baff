package registration

import (
	"context"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
)

// get tells a registered user what is on file (XEP-0077 usecases-register).
func (r *Registration) get(ctx context.Context, q *route.Query) (*elem.Node, error) {
	a, err := r.asker(ctx, q)
	if err != nil {
		return nil, err
	}
	if s := r.settings.Load().Registration; !s.PasswordChange && !s.Removal {
		return nil, stanza.Refuse(stanza.ServiceUnavailable, "")
	}
	return elem.New(NS, "query").Add(
		elem.New(NS, "registered"),
		elem.New(NS, "username").SetText(a.JID.Local()),
		elem.New(NS, "password"),
	), nil
}

// set changes the password, or removes the account.
func (r *Registration) set(ctx context.Context, q *route.Query) (*elem.Node, error) {
	a, err := r.asker(ctx, q)
	if err != nil {
		return nil, err
	}
	if q.Payload.Child(NS, "remove") != nil {
		return nil, r.remove(ctx, q, a)
	}
	return nil, r.changePassword(ctx, q, a)
}

// asker is the account whose client asks. Who comes from elsewhere has none
// here.
func (r *Registration) asker(ctx context.Context, q *route.Query) (account.Account, error) {
	if q.Session == nil {
		return account.Account{}, stanza.Refuse(stanza.ServiceUnavailable, "")
	}
	if q.Account.ID != 0 {
		return q.Account, nil
	}
	return r.accounts.Find(ctx, q.Session.JID.Bare())
}

// changePassword obeys XEP-0077 usecases-changepw. Other sessions stay: they have proved who
// they are.
func (r *Registration) changePassword(ctx context.Context, q *route.Query, a account.Account) error {
	wish := read(q.Payload)
	switch {
	case !r.settings.Load().Registration.PasswordChange:
		return stanza.Refuse(stanza.NotAllowed, "passwords are not changed here")
	case q.Session.Facts().TLS == "":
		return stanza.Refuse(stanza.NotAuthorized, "the stream is not encrypted")
	case wish.username == "" || wish.password == "":
		return stanza.Refuse(stanza.BadRequest, "a user name and a new password are needed")
	case !names(a, wish.username):
		return stanza.Refuse(stanza.NotAllowed, "only your own password can be changed")
	}
	if err := acceptable(wish.password); err != nil {
		return err
	}
	secret, err := r.accounts.Derive(ctx, wish.password)
	if err != nil {
		return err
	}
	err = r.db.Write(ctx, func(tx store.Tx) error { return r.accounts.SetCredentials(ctx, tx, a.ID, secret) })
	if err == nil {
		r.accounts.Changed(a.JID)
		r.log.Info("password changed by its user", "who", a.JID.String(), "peer", q.Session.Facts().Remote)
	}
	return err
}

// names tells whether a user name, or a bare address, is that of the account.
// COMPAT: XEP-0077's own form examples fill in addresses.
func names(a account.Account, username string) bool {
	own, err := ownName(a, username)
	return err == nil && own == a.JID
}

// remove obeys XEP-0077 usecases-cancel. The client hears of it before its stream ends.
func (r *Registration) remove(ctx context.Context, q *route.Query, a account.Account) error {
	switch {
	case !alone(q.Payload):
		return stanza.Refuse(stanza.BadRequest, "remove must stand alone")
	case !r.settings.Load().Registration.Removal:
		return stanza.Refuse(stanza.NotAllowed, "accounts are not removed by their users here")
	}
	err := r.remover.Remove(ctx, a, func() { q.Session.Send(q.Result()) })
	if err == nil {
		r.log.Info("account removed by its user", "who", a.JID.String(), "peer", q.Session.Facts().Remote)
	}
	return err
}

// alone tells whether remove is the only element, whatever white space is
// around it.
func alone(query *elem.Node) bool {
	n := 0
	for _, c := range query.Children {
		if c.Name.Local != "" {
			n++
		}
	}
	return n == 1
}
