// Package limits tells a client, while the stream is negotiated, how long its
// stanzas may be and how long it may be silent (XEP-0478).
package limits

import (
	"strconv"
	"time"

	"chancery/core/route"
	"chancery/core/settings"
	"chancery/xmpp/elem"
)

// NS is the namespace of XEP-0478.
const NS = "urn:xmpp:stream-limits:0"

// Module claims the specification; the feature itself is offered on the stream.
func Module() route.Module {
	return route.Module{
		Name:   "limits",
		Claims: []route.Claim{{Spec: "XEP-0478", Version: "0.2.0", Covers: "complete"}},
	}
}

// Feature is the stream feature for a client, before or after it has proved who
// it is: the limits differ, and the later features replace the earlier.
func Feature(s *settings.Settings, authenticated bool) *elem.Node {
	n := elem.New(NS, "limits")
	if !authenticated {
		return n.Add(number("max-bytes", s.C2S.PreAuth.StanzaBytes))
	}
	n.Add(number("max-bytes", s.C2S.StanzaBytes))
	if s.C2S.PingAfter > 0 { // silence is answered with a ping, and the lack of an answer with the end
		n.Add(number("idle-seconds", int(s.C2S.PingAfter/time.Second)))
	}
	return n
}

func number(name string, n int) *elem.Node {
	return elem.New(NS, name).SetText(strconv.Itoa(n))
}
