// Package offline keeps messages for users who are away (XEP-0160), and hands them
// over, with the time they came (XEP-0203), when somebody is there.
//
// Kept are messages of type normal and chat, unless they hold nothing but a chat
// state, which is dropped, or ask not to be stored (XEP-0334 no-store), which is
// refused like one too many. no-permanent-store does not mind: this store is not
// permanent.
//
// Nothing is lost on the way. A message goes from its row into the durable queue
// of a session that can be resumed (XEP-0198) in one commit; to other sessions it
// is written as soon as the row is gone. A client that comes online while a
// message for it is being committed may look too early: then the router calls
// Arrived again after the commit.
//
// A client that reads or acknowledges slowly gets no more than it has room for;
// the rest waits in its rows until it has.
package offline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"chancery/base/lru"
	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
)

const (
	nsHints      = "urn:xmpp:hints"
	nsChatStates = "http://jabber.org/protocol/chatstates"
)

// Offline is the store of all accounts.
type Offline struct {
	db       *store.DB
	settings *settings.Live
	log      *slog.Logger
	counts   *lru.Cache[int64, counted] // of kept messages, by account

	wake chan struct{} // to Run: a handover can go on

	mu        sync.Mutex
	handovers map[int64]*handover // under way, by account: one at a time
	coming    map[int64]int       // messages that were kept and are not on disk yet, by account

	active atomic.Int64 // handovers and messages that are coming
}

// counted is how many messages wait for an account: those that were there when
// somebody looked, and all that were kept since, of which some may have failed.
type counted struct {
	n  int
	at time.Time
}

const (
	// rememberCounts bounds the accounts whose number of messages is known
	// without looking.
	rememberCounts = 1 << 13
	// countAgain is how old a number may be that is the reason for a refusal.
	// What was kept before it is decided by then.
	countAgain = time.Second
)

// New makes the feature; Run must be running for it.
func New(db *store.DB, live *settings.Live, log *slog.Logger) *Offline {
	return &Offline{
		db: db, settings: live, log: log, counts: lru.New[int64, counted](rememberCounts),
		wake: make(chan struct{}, 1), handovers: map[int64]*handover{}, coming: map[int64]int{},
	}
}

// Module says what is supported.
func (o *Offline) Module() route.Module {
	return route.Module{
		Name: "offline",
		Claims: []route.Claim{
			{Spec: "XEP-0160", Version: "1.0.1", Covers: "complete"},
			{Spec: "XEP-0203", Version: "2.0", Covers: "server role"},
		},
		Features: []route.Feature{{Of: route.Server, Var: "msgoffline"}},
		Forget: func(ctx context.Context, tx store.Tx, a account.Account) error {
			o.counts.Delete(a.ID)
			return forget(ctx, tx, a.ID)
		},
	}
}

// Keep stores a message of which t.Recipient has no session that takes it
// (XEP-0160 types). Refusals are those of RFC 6121 §8.5.2.2.1.
func (o *Offline) Keep(ctx context.Context, t *route.Transit) error {
	switch {
	case t.Kind != stanza.Message, t.Type != "" && t.Type != "normal" && t.Type != "chat":
		return stanza.Refuse(stanza.ServiceUnavailable, "")
	case !t.Store && onlyState(t.Stanza):
		return nil
	case t.Has(nsHints, "no-store"):
		return stanza.Refuse(stanza.ServiceUnavailable, "nobody is there, and the message asks not to be stored")
	}
	owner := t.Recipient.ID
	room, err := o.room(ctx, owner)
	if err != nil {
		return err
	}
	if !room {
		return stanza.Refuse(stanza.ServiceUnavailable, "too many messages are waiting for this user")
	}
	o.counts.Update(owner, func(c counted) counted { c.n++; return c })
	st := t.Stanza
	b := st.AppendWith(make([]byte, 0, st.Size()+len(t.RecipientMark)+32), stanza.NSClient, t.RecipientMark)
	t.Keep(row(owner, o.db.NewID(), t.At, b))
	o.mu.Lock()
	o.coming[owner]++
	o.active.Add(1)
	o.mu.Unlock()
	t.Finally(func() { o.came(owner) })
	return nil
}

// onlyState is true for what says nothing lasting: chat states (XEP-0085), or
// nothing at all.
func onlyState(st *stanza.Stanza) bool {
	for _, p := range st.Parts {
		if p.Name.Space != nsChatStates && p.Name != elem.N(stanza.NSClient, "thread") && p.Name.Space != nsHints {
			return false
		}
	}
	return true
}

// room tells whether one more may wait.
func (o *Offline) room(ctx context.Context, owner int64) (bool, error) {
	most := o.settings.Load().Offline.Messages
	c, ok := o.counts.Get(owner)
	if ok && (c.n < most || time.Since(c.at) < countAgain) {
		return c.n < most, nil
	}
	generation := o.counts.Generation()
	n, err := count(ctx, o.db.Read(), owner)
	if err != nil {
		return false, err
	}
	o.counts.PutIf(generation, owner, counted{n, time.Now()})
	return n < most, nil
}

// Arrived hands over what is kept to a session that takes messages now. It waits
// for a query at most. It may be called again and from anywhere; of several
// sessions that arrive together the first gets everything.
func (o *Offline) Arrived(ctx context.Context, s *session.Session) {
	h := o.begin(s)
	if h == nil {
		return
	}
	if full := o.proceed(ctx, h); full {
		o.goOn(h)
	}
}

// failed ends a handover. The rows stay for the next who arrives.
func (o *Offline) failed(h *handover, err error) {
	if !errors.Is(err, context.Canceled) {
		o.log.Warn("messages that were kept are handed over later", "who", h.to.JID.String(), "err", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget(h.account)
}
