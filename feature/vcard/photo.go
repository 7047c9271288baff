package vcard

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"chancery/xmpp/elem"
)

// photo is the hash under which clients know the picture in a vCard (XEP-0153):
// SHA-1 of its bytes, in hex; "" when there is no picture that can be read.
func photo(card *elem.Node) string {
	p := card.Child(NS, "PHOTO")
	if p == nil {
		return ""
	}
	b := p.Child(NS, "BINVAL")
	if b == nil {
		return ""
	}
	picture, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(b.Text), ""))
	if err != nil || len(picture) == 0 {
		return ""
	}
	sum := sha1.Sum(picture)
	return hex.EncodeToString(sum[:])
}
