package mam

import "chancery/xmpp/elem"

// Forged tells a result of an archive. Clients get them from their own archive and
// from rooms; one that another client sends would be taken for the truth by those
// that do not look at who sent it (XEP-0313 security).
func Forged(p elem.Part) bool { return p.Name.Space == NS && p.Name.Local == "result" }
