package app

import (
	"context"

	"chancery/core/route"
	"chancery/core/session"
	"chancery/xmpp/stanza"
)

type noOffline struct{}

func (noOffline) Keep(context.Context, *route.Transit) error {
	return stanza.Refuse(stanza.ServiceUnavailable, "")
}
func (noOffline) Arrived(context.Context, *session.Session) {}
