package elem

// nameCache gives strings for the names that come again and again. It is
// small and bounded, since every stream has one: on one stream a handful of
// namespaces makes up nearly all traffic.
type nameCache [16]string

// maxCached keeps a peer from parking long strings in an idle stream.
const maxCached = 80

// get is string(b) without the allocation, mostly.
//
// HOT: a hit costs about 3 ns.
func (c *nameCache) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	slot := &c[(len(b)*5+int(b[len(b)-1])+int(b[0])*3+int(b[len(b)/2]))%len(c)]
	if *slot == string(b) {
		return *slot
	}
	s, ok := known[string(b)]
	if !ok {
		s = string(b)
	}
	if len(s) <= maxCached {
		*slot = s
	}
	return s
}

// known are names worth sharing by all streams.
var known = func() map[string]string {
	m := map[string]string{}
	for _, s := range []string{
		NSXML, NSXMLNS, NSStream, NSClient, NSServer,
		"message", "presence", "iq", "body", "subject", "thread", "show", "status", "priority", "error", "text",
		"query", "item", "group", "x", "field", "value", "set", "max", "before", "after", "active", "composing",
		"paused", "inactive", "gone", "request", "received", "displayed", "markable", "store", "no-store", "no-copy",
		"no-permanent-store", "origin-id", "stanza-id", "delay", "c", "vCard", "pubsub", "items", "publish", "ping",
		"r", "a", "enable", "resume", "enabled", "bind", "session", "resource", "auth", "response", "starttls", "id",
		"type", "to", "from", "jid", "name", "subscription", "ask", "var", "label", "node", "ver", "hash", "stamp", "by",
		"urn:ietf:params:xml:ns:xmpp-stanzas", "urn:ietf:params:xml:ns:xmpp-streams", "urn:ietf:params:xml:ns:xmpp-tls",
		"urn:ietf:params:xml:ns:xmpp-sasl", "urn:ietf:params:xml:ns:xmpp-bind", "urn:ietf:params:xml:ns:xmpp-session",
		"urn:xmpp:sm:3", "urn:xmpp:csi:0", "urn:xmpp:carbons:2", "urn:xmpp:mam:2", "urn:xmpp:forward:0", "urn:xmpp:sid:0",
		"urn:xmpp:hints", "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:delay", "urn:xmpp:ping",
		"urn:xmpp:blocking", "urn:xmpp:time", "urn:xmpp:message-correct:0", "urn:xmpp:reactions:0", "urn:xmpp:reply:0",
		"urn:xmpp:eme:0", "jabber:iq:roster", "jabber:iq:register", "jabber:iq:private", "jabber:iq:version",
		"jabber:iq:last", "jabber:x:data", "jabber:x:oob", "jabber:x:conference", "jabber:server:dialback", "vcard-temp",
		"vcard-temp:x:update", "eu.siacs.conversations.axolotl", "storage:bookmarks",
		"http://jabber.org/protocol/caps", "http://jabber.org/protocol/chatstates", "http://jabber.org/protocol/commands",
		"http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/muc",
		"http://jabber.org/protocol/muc#user", "http://jabber.org/protocol/muc#admin", "http://jabber.org/protocol/muc#owner",
		"http://jabber.org/protocol/nick", "http://jabber.org/protocol/pubsub", "http://jabber.org/protocol/pubsub#event",
		"http://jabber.org/protocol/pubsub#owner", "http://jabber.org/protocol/rsm", "http://jabber.org/protocol/xhtml-im",
		"http://www.w3.org/1999/xhtml",
	} {
		m[s] = s
	}
	return m
}()
