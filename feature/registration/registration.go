// Package registration lets users change their password and remove their
// account, and, when the administrator allows it, strangers make one (XEP-0077).
package registration

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// Namespaces of XEP-0077: of the queries, and of the stream feature.
const (
	NS        = "jabber:iq:register"
	NSFeature = "http://jabber.org/features/iq-register"
)

// Remover deletes an account with everything that belongs to it. When that is
// on disk, and before the account's sessions are ended, it calls gone.
type Remover interface {
	Remove(ctx context.Context, a account.Account, gone func()) error
}

// Registration answers for the server.
type Registration struct {
	db        *store.DB
	settings  *settings.Live
	accounts  *account.Accounts
	remover   Remover
	log       *slog.Logger
	newcomers *newcomers
}

// New makes the feature.
func New(db *store.DB, live *settings.Live, accounts *account.Accounts, remover Remover, log *slog.Logger) *Registration {
	return &Registration{db: db, settings: live, accounts: accounts, remover: remover, log: log, newcomers: newNewcomers()}
}

// Module answers those who have logged in. Clients ask the server or their own
// account; both are right.
func (r *Registration) Module() route.Module {
	m := route.Module{
		Name:   "registration",
		Claims: []route.Claim{{Spec: "XEP-0077", Version: "2.4", Covers: "complete", Note: "Making accounts is off by default. Nothing but a user name and a password is asked for; there is no redirection."}},
	}
	for _, to := range []route.Target{route.Server, route.OwnAccount} {
		m.IQ = append(m.IQ,
			route.IQ{Type: "get", Payload: elem.N(NS, "query"), To: to, Do: r.get},
			route.IQ{Type: "set", Payload: elem.N(NS, "query"), To: to, Do: r.set})
	}
	return m
}

// Feature is offered to a stranger who may make an account; nil when he may
// not. secure says that the stream is encrypted.
func (r *Registration) Feature(secure bool) *elem.Node {
	if !r.open(secure) {
		return nil
	}
	return elem.New(NSFeature, "register")
}

func (r *Registration) open(secure bool) bool {
	return secure && r.settings.Load().Registration.Enabled
}

// Stranger answers an iq of somebody who has not logged in. made says that an
// account was made, after which a stream may not make another (XEP-0077 usecases-register-server).
// answer is nil for what has nothing to do with registration, and where there
// is none: then the stranger gets what every stranger gets (RFC 6120 §4.9.3.12).
func (r *Registration) Stranger(ctx context.Context, st *stanza.Stanza, domain jid.JID, from netip.Addr, secure bool) (answer *stanza.Stanza, made bool) {
	query := st.Find(NS, "query")
	if st.Kind != stanza.IQ || query == nil || !r.open(secure) {
		return nil, false
	}
	switch st.Type {
	case "get":
		return st.Result(blank()), false
	case "set":
		if err := r.create(ctx, query, domain, from); err != nil {
			return st.Bounce(r.refusal(err)), false
		}
		return st.Result(), true
	}
	return nil, false
}

// create makes an account for a stranger.
func (r *Registration) create(ctx context.Context, query *elem.Node, domain jid.JID, from netip.Addr) error {
	if query.Child(NS, "remove") != nil {
		return stanza.Refuse(stanza.UnexpectedRequest, "log in first")
	}
	wish := read(query)
	if wish.username == "" || wish.password == "" {
		return stanza.Refuse(stanza.NotAcceptable, "a user name and a password are needed")
	}
	bare, err := jid.New(wish.username, domain.Domain(), "")
	if err != nil {
		return stanza.Refuse(stanza.NotAcceptable, "this cannot be a user name")
	}
	if _, err := r.accounts.Find(ctx, bare); !errors.Is(err, store.ErrNone) {
		if err != nil {
			return err
		}
		return stanza.Refuse(stanza.Conflict, "this user name is taken")
	}
	if err := acceptable(wish.password); err != nil {
		return err
	}
	release, ok := r.newcomers.admit(from, r.settings.Load().Registration.PerAddress)
	if !ok {
		return stanza.Wait(stanza.NotAcceptable, "too many accounts were made from your address; try again later")
	}
	if err := r.enter(ctx, bare, wish.password); err != nil {
		release()
		return err
	}
	r.log.Info("account registered", "who", bare.String(), "peer", from.String())
	return nil
}

// enter writes the account. The password is hashed before the transaction,
// which others wait for.
func (r *Registration) enter(ctx context.Context, bare jid.JID, password string) error {
	secret, err := r.accounts.Derive(ctx, password)
	if err != nil {
		return err
	}
	err = r.db.Write(ctx, func(tx store.Tx) error {
		_, err := r.accounts.CreateWith(ctx, tx, bare, secret, false)
		return err
	})
	r.accounts.Changed(bare)
	if errors.Is(err, store.ErrExists) {
		return stanza.Refuse(stanza.Conflict, "this user name is taken")
	}
	return err
}

// acceptable tells the user what is wrong with a password.
func acceptable(password string) error {
	if _, err := account.Prepare(password); err != nil {
		return stanza.Refuse(stanza.NotAcceptable, err.Error())
	}
	return nil
}

// refusal is what the stranger is told; the router does this for everybody
// else.
func (r *Registration) refusal(err error) *stanza.Error {
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrUnavailable):
		return stanza.Wait(stanza.ResourceConstraint, "try again later")
	}
	r.log.Error("registration", "err", err)
	return stanza.Refuse(stanza.InternalServerError, "")
}
