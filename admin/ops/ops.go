// Package ops is what an administrator can do. Everything that administers — the command line, the API, later the pages and
// the ad-hoc commands — comes through here, and each act does the same four things: the right is checked, rows change in
// one transaction, the same transaction keeps an audit row, and after it whoever must hear is told.
package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"chancery/base/obs"
	"chancery/core/account"
	"chancery/core/host"
	"chancery/core/online"
	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/jid"
)

// Ops acts on one node. The fields are set once, before use. DB, Accounts, Hosts, Settings and Log are needed; what belongs
// to a running server may be missing where there is none.
type Ops struct {
	DB       *store.DB
	Accounts *account.Accounts
	Hosts    *host.Hosts
	Settings *settings.Live
	Log      *slog.Logger

	// Forget removes what features keep of an account, in the transaction that removes the account.
	Forget []func(context.Context, store.Tx, account.Account) error

	// Farewell finds out who must hear that an account goes away for good; tell is called after the commit. It may be nil.
	Farewell func(ctx context.Context, a account.Account) (tell func(context.Context), err error)

	// Refresh puts changed rows into use after the commit. What is the name of a revision: settings.Revision, host.Revision.
	// Without it the snapshots of Settings and Hosts are read again.
	Refresh func(ctx context.Context, what string) error

	Online *online.Table // who is logged in here
	Traces *Traces       // stanzas that administrators watch
	Tail   *obs.Tail     // the log, to be followed
	Node   Node          // for Status
}

// act is one change, as the audit keeps it.
type act struct {
	right  Right
	action string // user.add
	target string // whom or what it is about
	detail string // what else is worth knowing; never a secret
}

// do checks the right, runs change and writes the audit row in one transaction. change may be nil.
func (o *Ops) do(ctx context.Context, by Actor, a act, change func(store.Tx) error) error {
	if err := o.allow(by, a.right, a.action); err != nil {
		return err
	}
	err := o.DB.Write(ctx, func(tx store.Tx) error {
		if change != nil {
			if err := change(tx); err != nil {
				return err
			}
		}
		return o.audit(ctx, tx, by, a)
	})
	if err != nil {
		return explain(err)
	}
	attrs := []any{"actor", by.Name, "action", a.action}
	if a.target != "" {
		attrs = append(attrs, "target", a.target)
	}
	if a.detail != "" {
		attrs = append(attrs, "detail", a.detail)
	}
	o.Log.Info("administration", attrs...)
	return nil
}

// allow is an error unless the actor has the right. Refusals are logged, so that somebody who tries doors is seen.
func (o *Ops) allow(by Actor, r Right, action string) error {
	if by.May(r) {
		return nil
	}
	o.Log.Warn("administration refused", "actor", by.Name, "action", action, "right", string(r))
	return &Error{Denied, fmt.Sprintf("%s may not do this: it needs the right %s", by.Name, r)}
}

// refresh puts a change into use; the change is on disk whatever becomes of this.
func (o *Ops) refresh(ctx context.Context, what string) error {
	if o.Refresh != nil {
		return saved(o.Refresh(ctx, what))
	}
	if what == host.Revision {
		return saved(o.Hosts.Refresh(ctx))
	}
	return saved(o.Settings.Refresh(ctx))
}

func saved(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Internal, "saved, but not in use yet: " + err.Error()}
}

// Code is a kind of error, for programs.
type Code string

// The codes and what they mean.
const (
	Invalid     Code = "invalid"     // what was asked makes no sense; asking again will not help
	Denied      Code = "denied"      // the actor has not the right
	NotFound    Code = "not-found"   // there is no such user, setting …
	Exists      Code = "exists"      // there is one already
	Unavailable Code = "unavailable" // the database cannot be used just now; try later
	Internal    Code = "internal"    // our fault
)

// Error is an answer to an administrator: what happened, to whom, what to do.
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

func (e *Error) Error() string { return e.Text }

func invalid(format string, args ...any) *Error { return &Error{Invalid, fmt.Sprintf(format, args...)} }

// explain gives every error of the packages below a code, once.
func explain(err error) error {
	var known *Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, store.ErrUnavailable):
		return &Error{Unavailable, "the database cannot be used just now (" + err.Error() + "); nothing was changed, try again later"}
	case errors.Is(err, store.ErrExists):
		return &Error{Exists, err.Error()}
	case errors.Is(err, settings.ErrUnknown), errors.Is(err, store.ErrNone):
		return &Error{NotFound, err.Error()}
	}
	return &Error{Internal, err.Error()}
}

// bare reads the address of an account.
func bare(text string) (jid.JID, error) {
	j, err := jid.Parse(text)
	switch {
	case err != nil:
		return jid.JID{}, invalid("%q is not an address: %v", text, err)
	case j.Local() == "":
		return jid.JID{}, invalid("%s is a domain; the address of an account is name@%s", j, j.Domain())
	case !j.IsBare():
		return jid.JID{}, invalid("%s names one session; the address of the account is %s", j, j.Bare())
	}
	return j, nil
}

// served is bare for an account that could exist here.
func (o *Ops) served(text string) (jid.JID, error) {
	j, err := bare(text)
	if err == nil && !o.Hosts.Load().Serves(j.Domain()) {
		return j, &Error{NotFound, fmt.Sprintf("this server does not serve %s; add the domain with: chancery host add %s", j.Domain(), j.Domain())}
	}
	return j, err
}

// account finds an existing account inside a transaction.
func (o *Ops) account(ctx context.Context, tx store.Tx, j jid.JID) (account.Account, error) {
	a, err := account.Get(ctx, tx, j)
	if errors.Is(err, account.ErrNone) {
		return a, &Error{NotFound, fmt.Sprintf("there is no account %s", j)}
	}
	return a, err
}

// stamp is nil for the zero time, so that JSON leaves it out.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
