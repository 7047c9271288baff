package elem

// nameCache gives strings for the names that come again and again: a handful
// of namespaces makes up nearly all traffic. It is bounded, and lives with the
// scratch that streams share, so that an idle stream has none.
type nameCache [64]string

// maxCached keeps a peer from parking long strings in it.
const maxCached = 80

// get is string(b) without the allocation, mostly.
//
// HOT: a hit costs about 3 ns where a map takes 15 to 20.
func (c *nameCache) get(b []byte) string {
	n := len(b)
	if n == 0 {
		return ""
	}
	h := (uint32(n) + uint32(b[0])<<8 + uint32(b[n/2])<<16 + uint32(b[n-1])<<24) * 0x9E3779B1
	slot := &c[h>>26]
	if *slot == string(b) {
		return *slot
	}
	s := intern(b)
	if n <= maxCached {
		*slot = s
	}
	return s
}

// intern is string(b) without the allocation for known names.
func intern(b []byte) string {
	if s, ok := known[string(b)]; ok {
		return s
	}
	return string(b)
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
