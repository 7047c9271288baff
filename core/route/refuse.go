package route

import (
	"errors"

	"chancery/store"
	"chancery/xmpp/stanza"
)

// refuse tells the sender of t why it went no further. Errors are never
// answered, nor are results and plain presence (RFC 6120 §8.3.1).
func (r *Router) refuse(t *Transit, err error) {
	e := r.refusal(t, err)
	if t.Type == "error" || t.Type == "result" || t.From.IsZero() {
		return
	}
	if t.Kind == stanza.Presence && t.Origin == nil {
		return
	}
	r.Count.refused(e.Condition)
	r.reply(r.Context, t, t.Bounce(e))
}

// refusal is the one place where an error becomes a condition. Refusals are
// meant for the peer; a database that is away is worth another try; everything
// else is our fault, logged here, and mute to the peer.
func (r *Router) refusal(t *Transit, err error) *stanza.Error {
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed):
		return stanza.Wait(stanza.ResourceConstraint, "the server cannot store anything just now; try again later")
	}
	r.Log.Error("stanza failed", "stanza", t.Kind.String(), "who", t.From.String(), "peer", t.To.String(), "err", err)
	return stanza.Wait(stanza.InternalServerError, "")
}

func isNone(err error) bool { return errors.Is(err, store.ErrNone) }

func noneIsNil(err error) error {
	if isNone(err) {
		return nil
	}
	return err
}
