package route

import (
	"context"

	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
)

// guard asks the one who knows what may not be told to everybody whether an iq
// may reach the session it is addressed to.
func (r *Router) guard(ctx context.Context, t *Transit) error {
	if t.Type != "get" && t.Type != "set" {
		return nil
	}
	if err := wellFormed(t.Stanza); err != nil {
		return err
	}
	may := r.Answers.handler(t.Type, t.Parts[0].Name, Resource)
	if may == nil {
		return nil
	}
	payload, err := elem.Parse(t.Bytes(t.Parts[0]), stanza.NSClient)
	if err != nil {
		return stanza.Refuse(stanza.BadRequest, "")
	}
	_, err = may(ctx, &Query{Stanza: t.Stanza, Payload: payload, Session: t.Origin, Account: *t.Recipient})
	return err
}
