// Package contact tells where the people who run this server can be reached
// (XEP-0157), as a form in the server's disco answer.
package contact

import (
	"chancery/core/route"
	"chancery/core/settings"
	"chancery/xmpp/elem"
)

// formType of the server information form (XEP-0157, XEP-0128).
const formType = "http://jabber.org/network/serverinfo"

// Module adds the form.
func Module(live *settings.Live) route.Module {
	return route.Module{
		Name:   "contact",
		Claims: []route.Claim{{Spec: "XEP-0157", Version: "1.1.1", Covers: "complete"}},
		Forms:  []route.Form{func() *elem.Node { return form(live.Load().Contact) }},
	}
}

// form is nil when no address is set. The fields are in the order of their
// names, which is also the one that XEP-0115 hashes them in.
func form(c settings.Contact) *elem.Node {
	x := elem.New("jabber:x:data", "x").With("type", "result").Add(field("FORM_TYPE", "hidden", formType))
	for _, f := range []struct {
		name      string
		addresses []string
	}{
		{"abuse", c.Abuse}, {"admin", c.Admin}, {"feedback", c.Feedback}, {"sales", c.Sales},
		{"security", c.Security}, {"status", c.Status}, {"support", c.Support},
	} {
		if len(f.addresses) > 0 {
			x.Add(field(f.name+"-addresses", "list-multi", f.addresses...))
		}
	}
	if len(x.Children) == 1 {
		return nil
	}
	return x
}

func field(name, kind string, values ...string) *elem.Node {
	f := elem.New("jabber:x:data", "field").With("var", name).With("type", kind)
	for _, v := range values {
		f.Add(elem.New("jabber:x:data", "value").SetText(v))
	}
	return f
}
