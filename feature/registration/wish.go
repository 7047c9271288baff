package registration

import (
	"strings"

	"chancery/core/account"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
)

const nsForm = "jabber:x:data"

// wish is what a client filled in.
type wish struct{ username, password string }

// read takes the fields of the query, or those of a submitted form, which come
// first (XEP-0077 precedence).
func read(query *elem.Node) wish {
	x := query.Child(nsForm, "x")
	if x == nil {
		return wish{username: trim(query.Child(NS, "username")), password: text(query.Child(NS, "password"))}
	}
	var w wish
	for _, f := range x.ChildrenNamed(nsForm, "field") {
		switch value := f.Child(nsForm, "value"); f.Attr("var") {
		case "username":
			w.username = trim(value)
		case "password":
			w.password = text(value)
		}
	}
	return w
}

func text(n *elem.Node) string {
	if n == nil {
		return ""
	}
	return n.Text
}

func trim(n *elem.Node) string { return strings.TrimSpace(text(n)) }

// blank is what a stranger is asked to fill in.
func blank() *elem.Node {
	return elem.New(NS, "query").Add(
		elem.New(NS, "instructions").SetText("Choose a user name and a password."),
		elem.New(NS, "username"),
		elem.New(NS, "password"),
	)
}

// ownName reads a user name as an address in the account's domain.
func ownName(a account.Account, username string) (jid.JID, error) {
	if strings.Contains(username, "@") {
		return jid.Parse(username)
	}
	return jid.New(username, a.JID.Domain(), "")
}
