package disco

import (
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"chancery/core/route"
	"chancery/xmpp/elem"
)

const nsForm = "jabber:x:data"

// description is the server's answer and its hash.
type description struct {
	forms string // as bytes: what may change while the server runs
	info  []*elem.Node
	ver   string
}

// describe is the answer as it is now. Features stand still; forms follow the
// settings, so the hash is made anew when they have changed.
func (d *Disco) describe() *description {
	forms := d.modules.Forms()
	var b []byte
	for _, f := range forms {
		b = f.Append(b, NSInfo)
	}
	if last := d.server.Load(); last != nil && last.forms == string(b) {
		return last
	}
	now := &description{forms: string(b)}
	now.info = append(now.info, identity("server", "im", d.Software))
	now.info = append(now.info, features(d.modules.Features(route.Server))...)
	now.info = append(now.info, forms...)
	now.ver = ver(now.info)
	d.server.Store(now)
	return now
}

// Caps is the stream feature with the server's capabilities (XEP-0115 stream
// feature).
func (d *Disco) Caps() *elem.Node {
	return elem.New(NSCaps, "c").With("hash", "sha-1").With("node", d.Home).With("ver", d.describe().ver)
}

// ver is the verification string over the children of a disco#info answer
// (XEP-0115 ver-gen). SHA-1 is what the specification demands; nothing is trusted
// for it.
func ver(info []*elem.Node) string {
	var identities, forms [][]string
	var vars []string
	for _, n := range info {
		switch {
		case n.Name.Local == "identity":
			identities = append(identities, []string{n.Attr("category"), n.Attr("type"), n.Attr("xml:lang"), n.Attr("name")})
		case n.Name.Local == "feature":
			vars = append(vars, n.Attr("var"))
		case n.Name.Space == nsForm:
			forms = append(forms, formWords(n))
		}
	}
	// Words are sorted before their separators are added: "a" comes before
	// "a#b", though "a<" does not.
	slices.SortFunc(identities, slices.Compare)
	slices.Sort(vars)
	slices.SortFunc(forms, slices.Compare)

	var s strings.Builder
	for _, id := range identities {
		s.WriteString(strings.Join(id, "/") + "<")
	}
	for _, words := range append([][]string{vars}, forms...) {
		for _, w := range words {
			s.WriteString(w + "<")
		}
	}
	sum := sha1.Sum([]byte(s.String()))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// formWords is a form as it is hashed: its type, then its fields by name, each
// with its values in order. A form without a type is left out.
func formWords(form *elem.Node) []string {
	var kind string
	var fields [][]string
	for _, f := range form.ChildrenNamed(nsForm, "field") {
		var values []string
		for _, v := range f.ChildrenNamed(nsForm, "value") {
			values = append(values, v.Text)
		}
		slices.Sort(values)
		if f.Attr("var") == "FORM_TYPE" {
			kind = strings.Join(values, "")
			continue
		}
		fields = append(fields, append([]string{f.Attr("var")}, values...))
	}
	if kind == "" {
		return nil
	}
	slices.SortFunc(fields, slices.Compare)
	return append([]string{kind}, slices.Concat(fields...)...)
}
