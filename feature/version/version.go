// Package version says what software runs here (XEP-0092). The operating system
// is never told.
package version

import (
	"context"

	"chancery/core/route"
	"chancery/xmpp/elem"
)

// NS is the namespace of XEP-0092.
const NS = "jabber:iq:version"

// Module answers with a name and a version.
func Module(name, version string) route.Module {
	answer := func(context.Context, *route.Query) (*elem.Node, error) {
		return elem.New(NS, "query").Add(
			elem.New(NS, "name").SetText(name),
			elem.New(NS, "version").SetText(version),
		), nil
	}
	return route.Module{
		Name:   "version",
		Claims: []route.Claim{{Spec: "XEP-0092", Version: "1.1", Covers: "complete", Note: "The operating system is not told."}},
		IQ:     []route.IQ{{Type: "get", Payload: elem.N(NS, "query"), To: route.Server, Do: answer}},
	}
}
