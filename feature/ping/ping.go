// Package ping answers pings to the server, and to one's own account
// (XEP-0199). A ping to somebody else's account is not answered: the refusal is
// that of an account that does not exist.
package ping

import (
	"context"

	"chancery/core/route"
	"chancery/xmpp/elem"
)

// NS is the namespace of XEP-0199.
const NS = "urn:xmpp:ping"

// Module answers pings.
func Module() route.Module {
	ping := elem.N(NS, "ping")
	return route.Module{
		Name:   "ping",
		Claims: []route.Claim{{Spec: "XEP-0199", Version: "2.0.1", Covers: "complete"}},
		IQ: []route.IQ{
			{Type: "get", Payload: ping, To: route.Server, Do: pong},
			{Type: "get", Payload: ping, To: route.OwnAccount, Do: pong},
		},
	}
}

func pong(context.Context, *route.Query) (*elem.Node, error) { return nil, nil }
