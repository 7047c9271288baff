// Package lastactivity tells since when the server runs, and those who may see
// a user's presence when he was last here (XEP-0012).
package lastactivity

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// NS is the namespace of XEP-0012.
const NS = "jabber:iq:last"

// Rights knows who may learn of an account's presence.
type Rights interface {
	Sees(ctx context.Context, owner account.Account, other jid.JID) (bool, error)
}

// Online finds the sessions of an account.
type Online interface {
	Sessions(bare jid.JID) []*session.Session
}

// LastActivity keeps when each account was last here.
type LastActivity struct {
	db      *store.DB
	rights  Rights
	online  Online
	started time.Time
	log     *slog.Logger
}

// New makes the feature; the server's uptime counts from now.
func New(db *store.DB, rights Rights, online Online, log *slog.Logger) *LastActivity {
	return &LastActivity{db: db, rights: rights, online: online, started: time.Now(), log: log}
}

// Module answers for the server and for accounts.
func (l *LastActivity) Module() route.Module {
	query := elem.N(NS, "query")
	return route.Module{
		Name:   "lastactivity",
		Claims: []route.Claim{{Spec: "XEP-0012", Version: "2.0", Covers: "complete", Note: "Who may not see an account's presence gets service-unavailable, as for an account that does not exist (RFC 6121 §8.5.1)."}},
		IQ: []route.IQ{
			{Type: "get", Payload: query, To: route.Server, Do: l.uptime},
			{Type: "get", Payload: query, To: route.OwnAccount, Do: here},
			{Type: "get", Payload: query, To: route.OtherAccount, Do: l.last},
			{Type: "get", Payload: query, To: route.Resource, Do: l.guard},
		},
		Forget: func(ctx context.Context, tx store.Tx, a account.Account) error {
			return forget(ctx, tx, a.ID)
		},
	}
}

// Gone notes that the last resource of an account went away, and what it said
// in going.
func (l *LastActivity) Gone(id int64, at time.Time, status string) {
	l.db.Append([]store.Row{row(id, at, status)}, func(err error) {
		if err != nil {
			l.log.Error("last activity not kept", "err", err)
		}
	})
}

func (l *LastActivity) uptime(context.Context, *route.Query) (*elem.Node, error) {
	return answer(time.Since(l.started), ""), nil
}

// here answers one's own client: whoever asks is here.
func here(context.Context, *route.Query) (*elem.Node, error) { return answer(0, ""), nil }

// guard keeps questions from the sessions of those whose presence the asker may
// not see: the session would answer, and so be seen (XEP-0012 online).
func (l *LastActivity) guard(ctx context.Context, q *route.Query) (*elem.Node, error) {
	sees, err := l.rights.Sees(ctx, q.Account, q.From)
	if err == nil && !sees {
		err = stanza.Refuse(stanza.ServiceUnavailable, "")
	}
	return nil, err
}

// last answers those who may see the account's presence (XEP-0012 security):
// zero while the user is available, else how long ago he left and what he said
// in leaving.
func (l *LastActivity) last(ctx context.Context, q *route.Query) (*elem.Node, error) {
	if _, err := l.guard(ctx, q); err != nil {
		return nil, err
	}
	for _, s := range l.online.Sessions(q.Account.JID) {
		if s.Presence() != nil {
			return answer(0, ""), nil
		}
	}
	at, status, err := load(ctx, l.db.Read(), q.Account.ID)
	if errors.Is(err, store.ErrNone) { // never here
		return nil, stanza.Refuse(stanza.ItemNotFound, "no activity is known")
	}
	if err != nil {
		return nil, err
	}
	return answer(time.Since(at), status), nil
}

func answer(ago time.Duration, status string) *elem.Node {
	seconds := max(int64(ago/time.Second), 0) // a clock may have been set back
	return elem.New(NS, "query").With("seconds", strconv.FormatInt(seconds, 10)).SetText(status)
}
