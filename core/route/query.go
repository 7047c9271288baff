package route

import (
	"context"

	"chancery/core/account"
	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
)

// query is an iq from a client of ours (RFC 6120 §8.2.3).
func (r *Router) query(ctx context.Context, t *Transit) error {
	if err := wellFormed(t.Stanza); err != nil {
		return err
	}
	own := t.To.IsZero() || t.To == t.Sender.JID
	if own {
		if t.Type == "get" || t.Type == "set" {
			return r.ask(ctx, t, OwnAccount, *t.Sender)
		}
		return nil // an answer to something that the server asked
	}
	if err := r.mayPass(ctx, *t.Sender, t.To); err != nil {
		return err
	}
	return r.dispatch(ctx, t)
}

// wellFormed checks the rules of RFC 6120 §8.2.3 that the type of an iq brings.
func wellFormed(st *stanza.Stanza) error {
	switch {
	case st.ID == "":
		return stanza.Refuse(stanza.BadRequest, "an iq needs an id")
	case st.Type == "get" || st.Type == "set":
		if len(st.Parts) != 1 {
			return stanza.Refuse(stanza.BadRequest, "an iq of type get or set has exactly one child")
		}
	case st.Type == "result":
		if len(st.Parts) > 1 {
			return stanza.Refuse(stanza.BadRequest, "an iq of type result has one child at most")
		}
	case st.Type == "error":
	default:
		return stanza.Refuse(stanza.BadRequest, "the type of an iq is get, set, result or error")
	}
	return nil
}

// deliverQuery is an iq to an account of ours.
func (r *Router) deliverQuery(ctx context.Context, t *Transit) error {
	if t.To.IsFull() { // RFC 6121 §8.5.3
		if err := r.guard(ctx, t); err != nil {
			return err
		}
		s := r.Online.Session(t.To)
		if s == nil || !s.Send(t.Stanza) {
			return stanza.Refuse(stanza.ServiceUnavailable, "")
		}
		return nil
	}
	if t.Type != "get" && t.Type != "set" {
		return nil
	}
	return r.ask(ctx, t, OtherAccount, *t.Recipient) // §8.5.2.1.3: the server answers on behalf of the account
}

// ask finds who answers and sends what he says.
func (r *Router) ask(ctx context.Context, t *Transit, to Target, a account.Account) error {
	if err := wellFormed(t.Stanza); err != nil { // of another server, perhaps
		return err
	}
	part := t.Parts[0]
	do := r.Answers.handler(t.Type, part.Name, to)
	if do == nil {
		return stanza.Refuse(stanza.ServiceUnavailable, "")
	}
	payload, err := elem.Parse(t.Bytes(part), stanza.NSClient)
	if err != nil {
		return stanza.Refuse(stanza.BadRequest, "")
	}
	q := &Query{Stanza: t.Stanza, Payload: payload, Session: t.Origin, Account: a, Reply: func(st *stanza.Stanza) { r.reply(ctx, t, st) }}
	answer, err := do(ctx, q)
	if err != nil {
		return err
	}
	r.reply(ctx, t, t.Result(answer))
	if q.Then != nil {
		q.Then()
	}
	return nil
}

// reply goes back to whoever sent t.
func (r *Router) reply(ctx context.Context, t *Transit, st *stanza.Stanza) {
	if t.Origin != nil {
		t.Origin.Send(st)
		return
	}
	r.Route(ctx, st)
}
