package route

import (
	"context"
	"time"

	"chancery/core/session"
	"chancery/store"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// deliverMessage brings a message to an account's sessions, or keeps it.
func (r *Router) deliverMessage(ctx context.Context, t *Transit) error {
	if !t.again {
		if err := r.Archive.Received(ctx, t); err != nil {
			return err
		}
	}
	chosen, err := r.choose(t)
	if err != nil {
		return err
	}
	if !t.again {
		r.Copies.Received(ctx, t, chosen)
	}
	if len(chosen) == 0 {
		return r.keep(ctx, t)
	}
	if t.again {
		if chosen = t.missed(chosen); len(chosen) == 0 {
			return nil
		}
	}
	if r.behind(ctx, t, chosen) {
		return nil
	}
	for _, s := range chosen {
		t.hand(s, t.Stanza, t.RecipientMark, true)
	}
	r.Count.delivered(len(chosen))
	t.finally = func(context.Context) {
		if t.reached == 0 { // all of them ended between choice and commit
			go r.Again(r.Context, t.Stanza, t.RecipientMark, t.At)
		}
	}
	return nil
}

// choose says which sessions get a message (RFC 6121 §8.5). None and no error
// means that it is for keeping, or to be ignored.
//
// Where the RFC leaves a choice: a message to the bare address goes to all
// resources with a priority that is not negative, since people carry more than
// one device; one of type normal or groupchat to a resource that is not there is
// refused.
func (r *Router) choose(t *Transit) ([]*session.Session, error) {
	if t.To.IsFull() {
		if s := r.Online.Session(t.To); s != nil && !s.Ended() { // §8.5.3.1
			return []*session.Session{s}, nil
		}
		switch t.Type { // §8.5.3.2.1
		case "chat", "error":
		case "headline":
			return nil, nil
		default:
			if !t.again {
				return nil, stanza.Refuse(stanza.ServiceUnavailable, "")
			}
		}
	}
	switch t.Type { // §8.5.2.1.1, §8.5.2.2.1
	case "groupchat":
		return nil, stanza.Refuse(stanza.ServiceUnavailable, "")
	case "error":
		return nil, nil
	}
	return r.taking(t.To.Bare()), nil
}

// taking lists the sessions that messages to the bare address reach.
func (r *Router) taking(bare jid.JID) []*session.Session {
	all := r.Online.Sessions(bare)
	if len(all) == 1 && all[0].Available() {
		return all // most accounts, most of the time
	}
	var out []*session.Session
	for _, s := range all {
		if s.Available() {
			out = append(out, s)
		}
	}
	return out
}

// keep is for when nobody is there (RFC 6121 §8.5.2.2.1, XEP-0160).
func (r *Router) keep(ctx context.Context, t *Transit) error {
	if t.Type == "headline" || t.Type == "error" {
		return nil
	}
	if err := r.Absent.Keep(ctx, t); err != nil {
		return err
	}
	r.handOver(t)
	return nil
}

// handOver looks, after the commit, whether somebody takes messages now: whoever
// came online between choice and commit has looked before the row was there
// (docs/adr/0005-coming-online.md).
func (r *Router) handOver(t *Transit) {
	bare := t.Recipient.JID
	t.finally = func(context.Context) {
		for _, s := range r.taking(bare) {
			r.Absent.Arriving(s)
			go r.Absent.Arrived(r.Context, s)
		}
	}
}

// behind keeps a message for a session to which older ones, that were kept, are
// still on their way, so that it does not overtake them (RFC 6120 §10.1). With more
// than one session, or where the message cannot be kept, it is better early than
// late.
func (r *Router) behind(ctx context.Context, t *Transit, chosen []*session.Session) bool {
	if len(chosen) != 1 || !chosen[0].Available() || !r.Absent.Behind(chosen[0]) {
		return false
	}
	rows := len(t.rows)
	if err := r.Absent.Keep(ctx, t); err != nil || len(t.rows) == rows {
		return false
	}
	r.handOver(t)
	return true
}

// Again brings a message that was archived and copied before to its recipient: a
// session that it was meant for has gone. at is when it came.
func (r *Router) Again(ctx context.Context, st *stanza.Stanza, mark []byte, at time.Time) {
	r.commit(ctx, r.second(ctx, st, mark, at))
}

// missed leaves out the sessions that got the message, or a copy of it
// (XEP-0280), when it came.
func (t *Transit) missed(chosen []*session.Session) []*session.Session {
	var out []*session.Session
	for _, s := range chosen {
		got := !s.TakingSince().After(t.At)
		if t.To.IsFull() {
			got = s.JID != t.To && !t.Private && s.Wants(session.Copies) && !s.Since.After(t.At)
		}
		if !got {
			out = append(out, s)
		}
	}
	return out
}

// unanswered tells who asked an ended session something that he will not hear from
// it: an iq is always answered (RFC 6120 §8.2.3). He may have got an answer
// already, when only the acknowledgement was lost; then this is one too many, which
// clients drop.
func (r *Router) unanswered(ctx context.Context, s *session.Session, st *stanza.Stanza) {
	if st.Kind == stanza.IQ && (st.Type == "get" || st.Type == "set") && st.To == s.JID && !st.From.IsZero() {
		r.Route(ctx, st.Bounce(stanza.Refuse(stanza.ServiceUnavailable, "")))
	}
}

// Rehome finds another way for what an ended session has not acknowledged
// (XEP-0198 resumption). The rows of the session go in the same commit.
func (r *Router) Rehome(ctx context.Context, s *session.Session, rest []session.Entry) {
	var all []*Transit
	var rows []store.Row
	for _, e := range rest {
		if isLost(s, e.Stanza) {
			t := r.second(ctx, e.Stanza, e.More, e.At)
			all, rows = append(all, t), append(rows, t.rows...)
		}
		r.unanswered(ctx, s, e.Stanza)
	}
	decided := func(err error) {
		for _, t := range all {
			t.decided(r.Context, err)
		}
		if err != nil {
			r.Log.Error("stanzas of an ended session stay in its queue until the next start", "who", s.JID.String(), "stanzas", len(rest), "err", err)
		}
	}
	if rows = append(rows, s.Forget()...); len(rows) == 0 {
		decided(nil)
		return
	}
	r.DB.Append(rows, decided)
}

// second is the way of a message to its recipient once more, up to the commit.
func (r *Router) second(ctx context.Context, st *stanza.Stanza, mark []byte, at time.Time) *Transit {
	t := &Transit{Stanza: st, At: at, RecipientMark: mark, again: true}
	t.read()
	if err := r.Deliver(ctx, t); err != nil {
		t.abandon(err)
		t.finally = func(context.Context) { r.refuse(t, err) }
	}
	return t
}

// isLost tells whether a stanza that an ended session has not acknowledged is to
// be delivered once more: a message to it or to its account. What the account
// itself says to its sessions is not: copies, pages of an archive.
func isLost(s *session.Session, st *stanza.Stanza) bool {
	own := s.JID.Bare()
	return st.Kind == stanza.Message && (st.Type == "" || st.Type == "normal" || st.Type == "chat") &&
		st.To.Bare() == own && st.From != own && !st.From.IsZero()
}
