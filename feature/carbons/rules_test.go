package carbons

import (
	"testing"

	"chancery/core/route"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

func message(t *testing.T, attrs, content string) *stanza.Stanza {
	t.Helper()
	s, err := stanza.Parse([]byte("<message xmlns='jabber:client' from='juliet@b.example/balcony' to='romeo@a.example/phone' " + attrs + ">" + content + "</message>"))
	if err != nil {
		t.Fatalf("%s %s: %v", attrs, content, err)
	}
	return s
}

// XEP-0280 recommended-rules: the rules for what is copied, one line each.
func TestWhatIsCopied(t *testing.T) {
	const (
		body    = `<body>hi</body>`
		invite  = `<x xmlns='http://jabber.org/protocol/muc#user'><invite to='romeo@a.example'/></x>`
		room    = `<x xmlns='http://jabber.org/protocol/muc#user'/>`
		direct  = `<x xmlns='jabber:x:conference' jid='r@rooms.example'/>`
		receipt = `<received xmlns='urn:xmpp:receipts' id='1'/>`
		typing  = `<composing xmlns='http://jabber.org/protocol/chatstates'/>`
		marker  = `<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>`
		pubsub  = `<event xmlns='http://jabber.org/protocol/pubsub#event'/>`
	)
	for _, c := range []struct {
		name    string
		attrs   string
		content string
		d       direction
		want    bool
	}{
		{"chat with a body", `type='chat'`, body, incoming, true},
		{"chat without a body", `type='chat'`, ``, outgoing, true},
		{"normal with a body", `type='normal'`, body, incoming, true},
		{"no type, with a body", ``, body, outgoing, true},
		{"normal without a body", `type='normal'`, `<subject>s</subject>`, incoming, false},
		{"a receipt", ``, receipt, incoming, true},
		{"a chat state", `type='normal'`, typing, outgoing, true},
		{"a chat marker", ``, marker, incoming, true},
		{"a notification", `type='headline'`, pubsub, incoming, false},
		{"a headline with a body", `type='headline'`, body, incoming, false},
		{"groupchat", `type='groupchat'`, body, incoming, false},
		{"groupchat that is sent", `type='groupchat'`, body, outgoing, false},
		{"groupchat with a receipt", `type='groupchat'`, receipt, incoming, false},
		{"a mediated invitation", ``, invite, incoming, true},
		{"a direct invitation", ``, direct, incoming, true},
		{"a private message of a room", `type='chat'`, body + room, incoming, false},
		{"a private message into a room", `type='chat'`, body + room, outgoing, true},
	} {
		if got := copies(message(t, c.attrs, c.content), c.d); got != c.want {
			t.Errorf("%s: copied is %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPrivateMessageIsNotCopied(t *testing.T) {
	c := New(nil)
	st := message(t, `type='chat'`, `<body>psst</body><private xmlns='urn:xmpp:carbons:2'/>`)
	if c.eligible(&route.Transit{Stanza: st, Private: true}, st.To.Bare(), st.From, incoming) {
		t.Error("a private message would be copied")
	}
}

// An error is copied when what it answers was, whoever of the two got it first
// and whatever it brings back.
func TestErrorIsCopiedWhenItsMessageWas(t *testing.T) {
	romeo, juliet := jid.MustParse("romeo@a.example"), jid.MustParse("juliet@b.example")
	c := New(nil)
	chat := message(t, `type='chat' id='1'`, `<body>hi</body>`)
	c.eligible(&route.Transit{Stanza: chat}, romeo, juliet, outgoing)
	quiet := message(t, `id='2'`, ``)
	c.eligible(&route.Transit{Stanza: quiet}, romeo, juliet, outgoing)

	balcony := jid.MustParse("juliet@b.example/balcony")
	for _, e := range []struct {
		name        string
		id          string
		owner, peer jid.JID
		want        bool
	}{
		{"the answer to a copied message", "1", romeo, juliet, true},
		{"from one of her resources", "1", romeo, balcony, true},
		{"the answer to one that was not copied", "2", romeo, juliet, false},
		{"the answer to nothing", "3", romeo, juliet, false},
		{"without an id", "", romeo, juliet, false},
		{"to somebody else", "1", juliet, romeo, false},
	} {
		st := message(t, `type='error' id='`+e.id+`'`, `<body>hi</body><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`)
		if got := c.eligible(&route.Transit{Stanza: st}, e.owner, e.peer, incoming); got != e.want {
			t.Errorf("%s: copied is %v, want %v", e.name, got, e.want)
		}
	}
}

func TestForgedCopiesAreTold(t *testing.T) {
	for name, want := range map[elem.Name]bool{
		elem.N(NS, "sent"):                  true,
		elem.N(NS, "received"):              true,
		elem.N(NS, "private"):               false,
		elem.N("urn:xmpp:receipts", "sent"): false,
	} {
		if got := Forged(elem.Part{Name: name}); got != want {
			t.Errorf("%v: forged is %v, want %v", name, got, want)
		}
	}
}
