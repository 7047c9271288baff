package contact

import (
	"testing"

	"chancery/core/settings"
	"chancery/xmpp/stanza"
)

func TestFormHoldsWhatIsSet(t *testing.T) {
	s := settings.Defaults()
	forms := Module(settings.Fixed(s)).Forms
	if n := forms[0](); n != nil {
		t.Errorf("with nothing set there is %s", n.Append(nil, stanza.NSClient))
	}
	s.Contact.Status = []string{"https://status.a.example/"}
	s.Contact.Abuse = []string{"mailto:abuse@a.example", "xmpp:abuse@a.example"}
	const want = `<x xmlns='jabber:x:data' type='result'>` +
		`<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>` +
		`<field var='abuse-addresses' type='list-multi'><value>mailto:abuse@a.example</value><value>xmpp:abuse@a.example</value></field>` +
		`<field var='status-addresses' type='list-multi'><value>https://status.a.example/</value></field></x>`
	if got := string(forms[0]().Append(nil, stanza.NSClient)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
