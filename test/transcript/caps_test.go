package transcript

import (
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"chancery/test/node"
)

// The hash in the stream features is that of the answer to disco#info, computed here from what a client sees
// (XEP-0115 §5.1), also when the operator has set addresses that add a form.
func TestCapabilitiesHashIsThatOfTheAnswer(t *testing.T) {
	for name, settings := range map[string]string{
		"plain":          "",
		"with addresses": "setting contact.admin xmpp:z@a.example,mailto:a@a.example\nsetting contact.abuse mailto:abuse@a.example\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stage.Run(t, func(t *testing.T, n *node.Node) {
				r := &run{node: n, values: values{}}
				defer r.close()
				if err := r.play(settings + `romeo/phone connects with TLS
romeo/phone opens
romeo/phone sends <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{base64 \0romeo\0pass of romeo}</auth>
romeo/phone skips what came
romeo/phone sends <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>
romeo/phone gets <stream:stream from='a.example' id='{any}' version='1.0' xml:lang='{maybe}'>
romeo/phone gets <stream:features>{more}<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{node}' ver='{ver}'/></stream:features>
romeo/phone binds
romeo/phone sends <iq type='get' id='d' to='a.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
`); err != nil {
					t.Fatal(err)
				}
				e, ok := r.parties[0].conn.Pop()
				if !ok {
					t.Fatal("no answer")
				}
				if got, want := r.values["ver"], verOf(e.Elem.Children()[0]); got != want {
					t.Errorf("the features say %s, the answer hashes to %s:\n%s", got, want, e.Elem)
				}
			})
		})
	}
}

// verOf is the verification string of a disco#info answer.
func verOf(query *node.Element) string {
	var identities, features, forms []string
	for _, c := range query.Children() {
		switch c.Local {
		case "identity":
			lang, _ := c.Lookup("http://www.w3.org/XML/1998/namespace", "lang")
			identities = append(identities, strings.Join([]string{c.Attr("category"), c.Attr("type"), lang, c.Attr("name")}, "/")+"<")
		case "feature":
			features = append(features, c.Attr("var")+"<")
		case "x":
			forms = append(forms, formText(c))
		}
	}
	slices.Sort(identities)
	slices.Sort(features)
	slices.Sort(forms)
	sum := sha1.Sum([]byte(strings.Join(slices.Concat(identities, features, forms), "")))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func formText(form *node.Element) string {
	var kind string
	var fields []string
	for _, f := range form.Children() {
		var values []string
		for _, v := range f.Children() {
			values = append(values, v.Text()+"<")
		}
		slices.Sort(values)
		if f.Attr("var") == "FORM_TYPE" {
			kind = strings.Join(values, "")
			continue
		}
		fields = append(fields, f.Attr("var")+"<"+strings.Join(values, ""))
	}
	slices.Sort(fields)
	return kind + strings.Join(fields, "")
}
