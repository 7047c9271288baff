package disco

import (
	"context"
	"strings"
	"testing"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session/sessiontest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

const (
	askInfo  = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
	askItems = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
)

// friends are the bare addresses that see romeo's presence.
type friends []jid.JID

func (f friends) Sees(_ context.Context, owner account.Account, other jid.JID) (bool, error) {
	for _, j := range f {
		if other.Bare() == j {
			return true, nil
		}
	}
	return other.Bare() == owner.JID, nil
}

func newDisco(t *testing.T, form *elem.Node, clients ...*sessiontest.Client) *Disco {
	d := &Disco{Software: "Test", Home: "https://test.example/", Rights: friends{jid.MustParse("juliet@b.example")}, Online: sessiontest.Online(t, clients...)}
	d.Describe(route.NewTable(d.Module(), route.Module{
		Name:     "other",
		Features: []route.Feature{{Of: route.OwnAccount, Var: "urn:of-the-account"}},
		Forms:    []route.Form{func() *elem.Node { return form }},
	}))
	return d
}

var (
	romeo = account.Account{ID: 7, JID: jid.MustParse("romeo@a.example")}
)

func TestServerSaysWhatItIs(t *testing.T) {
	form := elem.New(nsForm, "x").With("type", "result").Add(elem.New(nsForm, "field").With("var", "FORM_TYPE").Add(elem.New(nsForm, "value").SetText("urn:form")))
	d := newDisco(t, form)
	got, err := routetest.Ask(t, d.Module(), route.Server, routetest.Stranger("x@c.example", account.Account{}), "get", askInfo)
	want := `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='server' type='im' name='Test'/>` +
		`<feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/caps'/>` +
		`<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'><value>urn:form</value></field></x></query>`
	if err != nil || got != want {
		t.Errorf("got  %s %v\nwant %s", got, err, want)
	}
}

// The hash that the stream features offer is that of the answer, under the node
// they name, and changes with it.
func TestCapabilitiesAreThoseOfTheAnswer(t *testing.T) {
	form := elem.New(nsForm, "x").Add(elem.New(nsForm, "field").With("var", "FORM_TYPE").Add(elem.New(nsForm, "value").SetText("urn:form")))
	d := newDisco(t, form)
	ask := func(node string) (string, error) {
		return routetest.Ask(t, d.Module(), route.Server, routetest.Stranger("x@c.example", account.Account{}), "get",
			"<query xmlns='http://jabber.org/protocol/disco#info' node='"+node+"'/>")
	}
	first := d.Caps()
	answer, err := ask(first.Attr("node") + "#" + first.Attr("ver"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := elem.Parse([]byte(answer), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := ver(n.Children); got != first.Attr("ver") {
		t.Errorf("the features say %s, the answer hashes to %s", first.Attr("ver"), got)
	}
	if n.Attr("node") != "https://test.example/#"+first.Attr("ver") {
		t.Errorf("the answer names the node %q", n.Attr("node"))
	}

	form.Add(elem.New(nsForm, "field").With("var", "more"))
	if d.Caps().Attr("ver") == first.Attr("ver") {
		t.Error("the hash stays when a form changes")
	}
	for _, node := range []string{first.Attr("node") + "#" + first.Attr("ver"), "nowhere"} {
		if _, err := ask(node); !routetest.Refused(err, stanza.ItemNotFound) {
			t.Errorf("node %s: %v, want item-not-found", node, err)
		}
	}
}

func TestAccountIsShownToThoseEntitled(t *testing.T) {
	phone, hidden := sessiontest.New("romeo@a.example/phone", 7).Appear(), sessiontest.New("romeo@a.example/hidden", 7)
	d := newDisco(t, nil, phone, hidden)
	const (
		account = `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='account' type='registered'/>` +
			`<feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/><feature var='urn:of-the-account'/></query>`
		resources = `<query xmlns='http://jabber.org/protocol/disco#items'><item jid='romeo@a.example/phone'/></query>`
	)
	for _, c := range []struct {
		name        string
		to          route.Target
		who         routetest.Asker
		ask         string
		want, error string
	}{
		{"himself", route.OwnAccount, routetest.Own(phone.Session), askInfo, account, ""},
		{"himself, items", route.OwnAccount, routetest.Own(phone.Session), askItems, resources, ""},
		{"himself, a node", route.OwnAccount, routetest.Own(phone.Session), strings.Replace(askInfo, "/>", " node='x'/>", 1), "", stanza.ItemNotFound},
		{"a friend", route.OtherAccount, routetest.Stranger("juliet@b.example/x", romeo), askInfo, account, ""},
		{"a friend, items", route.OtherAccount, routetest.Stranger("juliet@b.example/x", romeo), askItems, resources, ""},
		{"a friend, a node", route.OtherAccount, routetest.Stranger("juliet@b.example/x", romeo), strings.Replace(askItems, "/>", " node='x'/>", 1), "", stanza.ItemNotFound},
		{"a stranger", route.OtherAccount, routetest.Stranger("tybalt@b.example/x", romeo), askInfo, "", stanza.ServiceUnavailable},
		{"a stranger, items", route.OtherAccount, routetest.Stranger("tybalt@b.example/x", romeo), askItems, "", stanza.ServiceUnavailable},
		{"a stranger, a node", route.OtherAccount, routetest.Stranger("tybalt@b.example/x", romeo), strings.Replace(askInfo, "/>", " node='x'/>", 1), "", stanza.ServiceUnavailable},
	} {
		got, err := routetest.Ask(t, d.Module(), c.to, c.who, "get", c.ask)
		if got != c.want || (c.error == "") != (err == nil) || (err != nil && !routetest.Refused(err, c.error)) {
			t.Errorf("%s:\ngot  %s, %v\nwant %s, %s", c.name, got, err, c.want, c.error)
		}
	}
}

// The refusal says nothing more than that of an account that does not exist.
func TestRefusalIsMute(t *testing.T) {
	d := newDisco(t, nil)
	_, err := routetest.Ask(t, d.Module(), route.OtherAccount, routetest.Stranger("tybalt@b.example/x", romeo), "get", askInfo)
	if e, ok := err.(*stanza.Error); !ok || *e != *stanza.Refuse(stanza.ServiceUnavailable, "") {
		t.Errorf("the refusal is %#v", err)
	}
}

func TestServicesAreItems(t *testing.T) {
	d := newDisco(t, nil)
	who := routetest.Stranger("x@c.example", account.Account{})
	if got, err := routetest.Ask(t, d.Module(), route.Server, who, "get", askItems); got != askItems || err != nil {
		t.Errorf("without services: %s, %v", got, err)
	}
	d.Services = func(domain jid.JID) []Item {
		return []Item{{JID: jid.MustParse("rooms." + domain.String()), Name: "Rooms"}}
	}
	const want = `<query xmlns='http://jabber.org/protocol/disco#items'><item jid='rooms.a.example' name='Rooms'/></query>`
	if got, err := routetest.Ask(t, d.Module(), route.Server, who, "get", askItems); got != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}
