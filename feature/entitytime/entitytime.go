// Package entitytime tells the server's time (XEP-0202), always in UTC, so that
// it does not tell where the server stands.
package entitytime

import (
	"context"
	"time"

	"chancery/core/route"
	"chancery/xmpp/delay"
	"chancery/xmpp/elem"
)

// NS is the namespace of XEP-0202.
const NS = "urn:xmpp:time"

// Module answers with the time.
func Module() route.Module {
	return route.Module{
		Name:   "entitytime",
		Claims: []route.Claim{{Spec: "XEP-0202", Version: "2.0", Covers: "complete"}, {Spec: "XEP-0082", Version: "1.1.1", Covers: "complete"}},
		IQ:     []route.IQ{{Type: "get", Payload: elem.N(NS, "time"), To: route.Server, Do: now}},
	}
}

func now(context.Context, *route.Query) (*elem.Node, error) {
	return elem.New(NS, "time").Add(
		elem.New(NS, "tzo").SetText("+00:00"),
		elem.New(NS, "utc").SetText(delay.Stamp(time.Now().Truncate(time.Second))),
	), nil
}
