package mam

import (
	"chancery/core/route"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// Namespaces of what makes a message worth keeping.
const (
	nsReceipts   = "urn:xmpp:receipts"
	nsMarkers    = "urn:xmpp:chat-markers:0"
	nsReactions  = "urn:xmpp:reactions:0"
	nsFasten     = "urn:xmpp:fasten:0"
	nsRetract0   = "urn:xmpp:message-retract:0"
	nsRetract1   = "urn:xmpp:message-retract:1"
	nsModerate0  = "urn:xmpp:message-moderate:0"
	nsModerate1  = "urn:xmpp:message-moderate:1"
	nsOMEMO      = "eu.siacs.conversations.axolotl"
	nsOMEMO2     = "urn:xmpp:omemo:2"
	nsOpenPGP    = "urn:xmpp:openpgp:0"
	nsConference = "jabber:x:conference"
	nsMUCUser    = "http://jabber.org/protocol/muc#user"
)

// worthKeeping tells whether a message belongs into archives at all, whatever
// their owners prefer; the package comment has the rules in words.
func worthKeeping(t *route.Transit) bool {
	switch t.Type {
	case "", "normal", "chat":
		return !t.NoStore && (t.Store || hasContent(t.Stanza))
	case "error", "groupchat": // the room has its own archive; XEP-0334 rules: no hints in errors
		return false
	}
	return t.Store && !t.NoStore // headlines
}

// hasContent looks for what a person said, or did to something said.
func hasContent(st *stanza.Stanza) bool {
	for _, p := range st.Parts {
		switch p.Name.Space {
		case stanza.NSClient:
			if p.Name.Local == "body" || (p.Name.Local == "subject" && st.Type != "chat") {
				return true
			}
		case nsReceipts:
			if p.Name.Local == "received" {
				return true
			}
		case nsMarkers:
			if p.Name.Local != "markable" {
				return true
			}
		case nsReactions, nsFasten, nsRetract0, nsRetract1, nsModerate0, nsModerate1, nsOpenPGP, nsConference:
			return true
		case nsOMEMO, nsOMEMO2:
			if p.Name.Local == "encrypted" {
				return true
			}
		case nsMUCUser:
			if n := st.Node(p); n.Child(nsMUCUser, "invite") != nil || n.Child(nsMUCUser, "decline") != nil {
				return true
			}
		}
	}
	return false
}

// strip deletes stanza-ids that claim to be ours (XEP-0359 rules, 2): whoever
// wrote them, only we give ids in the name of an account.
func strip(st *stanza.Stanza, by jid.JID) *stanza.Stanza {
	if !st.HasNS(nsIDs) {
		return st
	}
	return st.Without(func(p elem.Part) bool {
		if p.Name != stanzaID {
			return false
		}
		n := st.Node(p)
		if n == nil {
			return true
		}
		claimed, err := jid.Parse(n.Attr("by"))
		return err == nil && claimed.Bare() == by
	})
}

// mark is the canonical <stanza-id/> of a message in an archive.
func mark(owner jid.JID, token string) []byte {
	b := make([]byte, 0, len("<stanza-id xmlns='' by='' id=''/>")+len(nsIDs)+len(owner.String())+len(token)+8)
	b = append(b, "<stanza-id"...)
	b = elem.AppendAttr(b, "xmlns", nsIDs)
	b = elem.AppendAttr(b, "by", owner.String())
	b = elem.AppendAttr(b, "id", token)
	return append(b, "/>"...)
}
