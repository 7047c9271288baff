// Package route is the life of a stanza (RFC 6120 §10, RFC 6121 §8): READ THIS
// FILE FIRST. A client's stanza comes in at Handle, everybody else's at Route.
//
//	Handle  Submit, commit, tell                      (route.go)
//	Submit  the sending half: allow → archive → copy → dispatch
//	dispatch  a domain of ours? an account? the server itself? elsewhere?
//	Deliver the receiving half: allow → archive → choose → copy → send; nobody there: keep
//
// Nothing is told before it is decided and committed: stages add rows and things
// to tell to the Transit, one commit makes the rows durable together with the
// client's handled counter, and then the sessions get their copies.
package route

import (
	"context"
	"log/slog"
	"time"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/session"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// Router moves stanzas. All fields are set before the first stanza and not
// changed afterwards.
type Router struct {
	Log      *slog.Logger
	DB       *store.DB
	Online   *online.Table
	Hosts    Hosts
	Accounts Accounts
	Answers  *Table

	Block    Blocker
	Archive  Archiver
	Copies   Copier
	Absent   Absent
	Presence Presences
	Remote   Remote

	// Forged tells children that no client and no other server may send:
	// copies that we alone make. They are dropped at the door.
	Forged func(elem.Part) bool
	// Reserved is Forged for what a client submits: it also tells the children
	// that services may send, but no client. Results of an archive come from
	// rooms, too.
	Reserved func(elem.Part) bool

	// Context is that of the server; what happens after a commit runs in it.
	Context context.Context

	Count Counters
}

// Handle deals with one stanza that a session has taken (session.Take): a message,
// which is pipelined, or anything else, which was taken alone. Its from is set.
//
// HOT: a chat message from the reader to the other session's writer costs 0.75 µs and
// three allocations: the stanza, the Transit, and what follows the commit; 9 µs when
// both sessions can be resumed, nearly all of it SQLite's (BenchmarkChat,
// BenchmarkDurableChat: one core of an AMD EPYC).
func (r *Router) Handle(ctx context.Context, s *session.Session, st *stanza.Stanza) {
	r.Count.received(st.Kind)
	t := &Transit{Stanza: st, Origin: s, At: time.Now()}
	t.own = account.Account{ID: s.Account, JID: s.JID.Bare()}
	t.Sender = &t.own
	handed := false
	defer func() {
		if !handed { // also after a panic, which the reader catches
			s.Done(false)
		}
	}()
	err := r.Submit(ctx, t)
	if err != nil {
		t.abandon(err)
		t.finally = func(context.Context) { r.refuse(t, err) }
	}
	kept := false
	if st.Kind == stanza.Message {
		var row store.Row
		if row, kept = s.HandledRow(); kept {
			t.Keep(row)
		}
	}
	if len(t.rows) == 0 && !s.Busy() {
		t.decided(ctx, nil)
		return
	}
	handed = true
	r.DB.Append(t.rows, func(err error) {
		defer s.Done(kept && err == nil)
		r.committed(t, err)
	})
}

// Route takes a stanza that does not come from a session here: from a service, a
// feature, another server. It may be called after a commit, and does not wait.
func (r *Router) Route(ctx context.Context, st *stanza.Stanza) {
	t := &Transit{Stanza: st, At: time.Now()}
	err := r.arrive(ctx, t)
	if err != nil {
		t.abandon(err)
		t.finally = func(context.Context) { r.refuse(t, err) }
	}
	r.commit(ctx, t)
}

func (r *Router) arrive(ctx context.Context, t *Transit) error {
	if t.Kind == stanza.Message {
		r.clean(t)
	}
	return r.dispatch(ctx, t)
}

func (r *Router) commit(ctx context.Context, t *Transit) {
	if len(t.rows) == 0 {
		t.decided(ctx, nil)
		return
	}
	r.DB.Append(t.rows, func(err error) { r.committed(t, err) })
}

// committed is called by the writer, in order. When the rows could not be
// written nothing has happened, and the sender is told so.
func (r *Router) committed(t *Transit, err error) {
	t.decided(r.Context, err)
	if err != nil {
		r.refuse(t, err)
	}
}

// Submit is the sending half of a client's stanza.
func (r *Router) Submit(ctx context.Context, t *Transit) error {
	switch t.Kind {
	case stanza.Message:
		return r.message(ctx, t)
	case stanza.Presence:
		return r.Presence.Outbound(ctx, t)
	default:
		return r.query(ctx, t)
	}
}

func (r *Router) message(ctx context.Context, t *Transit) error {
	if t.To.IsZero() { // RFC 6120 §10.3.1: for the bare address of the sender
		t.Stanza = t.Addressed(t.Sender.JID)
	}
	r.clean(t)
	if err := r.mayPass(ctx, *t.Sender, t.To); err != nil {
		return err
	}
	if err := r.Archive.Sent(ctx, t); err != nil {
		return err
	}
	r.Copies.Sent(ctx, t)
	return r.dispatch(ctx, t)
}

// clean drops forged children and reads the hints.
func (r *Router) clean(t *Transit) {
	if len(t.Parts) > 0 {
		forged := r.Forged
		if t.Origin != nil && r.Reserved != nil {
			forged = r.Reserved
		}
		t.Stanza = t.Without(forged)
		t.read()
	}
}

// dispatch finds out whose stanza it is (RFC 6120 §10.5).
func (r *Router) dispatch(ctx context.Context, t *Transit) error {
	switch {
	case !r.Hosts.Serves(t.To.Domain()):
		return r.Remote.Forward(ctx, t)
	case t.To.Local() == "":
		return r.toServer(ctx, t)
	default:
		return r.Deliver(ctx, t)
	}
}

// toServer is for the domain itself.
func (r *Router) toServer(ctx context.Context, t *Transit) error {
	switch t.Kind {
	case stanza.IQ:
		if t.Type == "get" || t.Type == "set" {
			return r.ask(ctx, t, Server, account.Account{})
		}
		return nil
	case stanza.Presence:
		return r.Presence.ToServer(ctx, t)
	}
	return stanza.Refuse(stanza.ServiceUnavailable, "nobody reads messages to the server itself")
}

// Deliver is the receiving half (RFC 6121 §8.5): for an address at a domain of
// ours.
func (r *Router) Deliver(ctx context.Context, t *Transit) error {
	if err := r.find(ctx, t); err != nil {
		return err
	}
	if t.Recipient == nil { // §8.5.1
		if t.Kind == stanza.Presence {
			if t.Type == "probe" { // §4.3.2, the answer of an account whose presence one may not see
				r.Route(ctx, &stanza.Stanza{Kind: stanza.Presence, Type: "unsubscribed", From: t.To.Bare(), To: t.From.Bare()})
			}
			return nil
		}
		return stanza.Refuse(stanza.ServiceUnavailable, "")
	}
	if blocked, err := r.blocked(ctx, t); blocked || err != nil {
		return err
	}
	switch t.Kind {
	case stanza.Message:
		return r.deliverMessage(ctx, t)
	case stanza.Presence:
		return r.Presence.Inbound(ctx, t)
	default:
		return r.deliverQuery(ctx, t)
	}
}

// find looks the recipient up; somebody who is online is not looked up in the
// database.
func (r *Router) find(ctx context.Context, t *Transit) error {
	bare := t.To.Bare()
	if t.Sender != nil && t.Sender.JID == bare {
		t.Recipient = t.Sender
		return nil
	}
	if all := r.Online.Sessions(bare); len(all) > 0 {
		t.other = account.Account{ID: all[0].Account, JID: bare}
		t.Recipient = &t.other
		return nil
	}
	a, err := r.Accounts.Find(ctx, bare)
	switch {
	case err == nil:
		t.other = a
		t.Recipient = &t.other
	case isNone(err):
		return nil
	}
	return noneIsNil(err)
}

// mayPass tells the sender when he has blocked whom he writes to (XEP-0191).
func (r *Router) mayPass(ctx context.Context, owner account.Account, to jid.JID) error {
	if to.Bare() == owner.JID {
		return nil
	}
	blocked, err := r.Block.Blocks(ctx, owner, to)
	if err != nil {
		return err
	}
	if blocked {
		return YouBlocked()
	}
	return nil
}

// blocked tells whether the recipient does not want to hear from the sender:
// who sends a message or asks gets the answer of an account that does not
// exist, presence vanishes (XEP-0191 blocked communications).
func (r *Router) blocked(ctx context.Context, t *Transit) (bool, error) {
	if t.From.Bare() == t.Recipient.JID || t.From.IsZero() {
		return false, nil
	}
	blocked, err := r.Block.Blocks(ctx, *t.Recipient, t.From)
	if !blocked || err != nil || t.Kind == stanza.Presence {
		return blocked, err
	}
	return true, stanza.Refuse(stanza.ServiceUnavailable, "")
}
