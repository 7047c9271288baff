package disco

import (
	"testing"

	"chancery/xmpp/elem"
)

// The strings are those of XEP-0115 ver-gen-simple and ver-gen-complex.
func TestVerificationString(t *testing.T) {
	for _, c := range []struct {
		name, info, want string
	}{
		{"simple", `<query xmlns='http://jabber.org/protocol/disco#info'>
			<identity category='client' name='Exodus 0.9.1' type='pc'/>
			<feature var='http://jabber.org/protocol/muc'/>
			<feature var='http://jabber.org/protocol/disco#items'/>
			<feature var='http://jabber.org/protocol/disco#info'/>
			<feature var='http://jabber.org/protocol/caps'/></query>`, "QgayPKawpkPSDYmwT/WM94uAlu0="},
		{"languages and a form", `<query xmlns='http://jabber.org/protocol/disco#info'>
			<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>
			<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>
			<feature var='http://jabber.org/protocol/caps'/>
			<feature var='http://jabber.org/protocol/disco#info'/>
			<feature var='http://jabber.org/protocol/disco#items'/>
			<feature var='http://jabber.org/protocol/muc'/>
			<x xmlns='jabber:x:data' type='result'>
			<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
			<field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>
			<field var='os'><value>Mac</value></field>
			<field var='os_version'><value>10.5.1</value></field>
			<field var='software'><value>Psi</value></field>
			<field var='software_version'><value>0.11</value></field></x></query>`, "q07IKJEyjvHSyhy//CH0CxmKi8w="},
	} {
		n, err := elem.Parse([]byte(c.info), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := ver(n.Children); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// "pubsub" comes before "pubsub#publish", though '<', which is put behind each,
// does not come before '#'.
func TestVerificationStringSortsWordsNotText(t *testing.T) {
	a, b := features([]string{"pubsub", "pubsub#publish"}), features([]string{"pubsub#publish", "pubsub"})
	const want = "OrVNIwG+2Bjg5skx7vfE1ZoB+F8=" // sha1("pubsub<pubsub#publish<")
	if got := ver(a); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if ver(a) != ver(b) {
		t.Error("the order in which features come matters")
	}
}
