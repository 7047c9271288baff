package transcript

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"chancery/test/node"
)

// A pattern is an element as a script writes it. In text and attribute values
//
//	{any}       stands for anything but nothing
//	{datetime}  for a time of XEP-0082 in UTC, {number} for digits
//	{maybe}     as the whole value of an attribute: anything, or no attribute
//	{name}      remembers what came there first, and from then on means just that
//
// As text between the children of an element
//
//	{more}      other content may be there too, and the order is free
//	{unordered} the order of the children is free
//
// {error TYPE CONDITION} stands for the whole <error/> child of a stanza.

// values are the variables of a script.
type values map[string]string

// with is a copy that knows one more.
func (v values) with(name, value string) values {
	c := maps.Clone(v)
	c[name] = value
	return c
}

var placeholder = regexp.MustCompile(`\{([a-zA-Z][\w-]*)\}`)

// matchText compares a value with a pattern; the result knows the variables bound on the way.
func (v values) matchText(want, got string) (values, bool) {
	if !strings.Contains(want, "{") {
		return v, want == got
	}
	var expr strings.Builder
	var names []string
	expr.WriteString(`(?s)\A`)
	last := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(want, -1) {
		expr.WriteString(regexp.QuoteMeta(want[last:m[0]]))
		last = m[1]
		name := want[m[2]:m[3]]
		bound, known := v[name]
		switch {
		case name == "any":
			expr.WriteString(`.+`)
		case name == "number":
			expr.WriteString(`\d+`)
		case name == "datetime":
			expr.WriteString(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z`)
		case known:
			expr.WriteString(regexp.QuoteMeta(bound))
		default:
			names = append(names, name)
			expr.WriteString(`(.+)`)
		}
	}
	expr.WriteString(regexp.QuoteMeta(want[last:]))
	expr.WriteString(`\z`)
	m := regexp.MustCompile(expr.String()).FindStringSubmatch(got)
	if m == nil {
		return v, false
	}
	for i, name := range names {
		v = v.with(name, m[i+1])
	}
	return v, true
}

// match compares an element with a pattern. The text says where they part; "" when they agree.
func (v values) match(want, got *node.Element) (values, string) {
	if want.Space != got.Space || want.Local != got.Local {
		return v, fmt.Sprintf("<%s/> of %q is not <%s/> of %q", got.Local, got.Space, want.Local, want.Space)
	}
	v, diff := v.matchAttrs(want, got)
	if diff != "" {
		return v, diff
	}
	v, diff = v.matchContent(want, got)
	if diff != "" && !strings.HasPrefix(diff, "in <") {
		diff = fmt.Sprintf("in <%s/>: %s", want.Local, diff)
	}
	return v, diff
}

func (v values) matchAttrs(want, got *node.Element) (values, string) {
	for _, a := range want.Attrs {
		value, has := got.Lookup(a.Space, a.Local)
		if a.Value == "{maybe}" {
			continue
		}
		if !has {
			return v, fmt.Sprintf("<%s/> has no %s=%q", got.Local, a.Local, a.Value)
		}
		var ok bool
		if v, ok = v.matchText(a.Value, value); !ok {
			return v, fmt.Sprintf("<%s/> has %s=%q, wanted %q", got.Local, a.Local, value, v.show(a.Value))
		}
	}
	for _, a := range got.Attrs {
		if _, has := want.Lookup(a.Space, a.Local); !has {
			return v, fmt.Sprintf("<%s/> has an attribute too many: %s=%q", got.Local, a.Local, a.Value)
		}
	}
	return v, ""
}

// show puts the known variables into a pattern.
func (v values) show(pattern string) string {
	return placeholder.ReplaceAllStringFunc(pattern, func(p string) string {
		if s, ok := v[p[1:len(p)-1]]; ok {
			return s
		}
		return p
	})
}

func (v values) matchContent(want, got *node.Element) (values, string) {
	text := want.Text()
	more, unordered := strings.Contains(text, "{more}"), strings.Contains(text, "{unordered}")
	text = strings.NewReplacer("{more}", "", "{unordered}", "").Replace(text)
	wants, gots := want.Children(), got.Children()

	gotText := got.Text()
	if len(wants)+len(gots) > 0 || more {
		text, gotText = strings.TrimSpace(text), strings.TrimSpace(gotText)
	}
	if !more || text != "" {
		var ok bool
		if v, ok = v.matchText(text, gotText); !ok {
			return v, fmt.Sprintf("text %q, wanted %q", gotText, v.show(text))
		}
	}
	if more || unordered {
		v, rest, diff := v.matchSet(wants, gots)
		if diff == "" && len(rest) > 0 && !more {
			diff = "too much: " + rest[0].String()
		}
		return v, diff
	}
	for i, w := range wants {
		if i >= len(gots) {
			return v, "missing: " + w.String()
		}
		var diff string
		if v, diff = v.match(w, gots[i]); diff != "" {
			return v, diff
		}
	}
	if len(gots) > len(wants) {
		return v, "too much: " + gots[len(wants)].String()
	}
	return v, ""
}

// matchSet finds another element for each pattern, trying every assignment; rest is what no pattern asked for.
func (v values) matchSet(wants, gots []*node.Element) (_ values, rest []*node.Element, diff string) {
	if len(wants) == 0 {
		return v, gots, ""
	}
	diff = "missing: " + wants[0].String()
	for i, g := range gots {
		bound, d := v.match(wants[0], g)
		if d != "" {
			continue
		}
		others := append(append([]*node.Element(nil), gots[:i]...), gots[i+1:]...)
		bound, rest, d = bound.matchSet(wants[1:], others)
		if d == "" {
			return bound, rest, ""
		}
		diff = d
	}
	return v, nil, diff
}

// forgive removes from what came, or adds to it, what a script need not spell out each time:
//
//   - 'to' with the receiver's own address, full or bare, and 'from' with his bare address;
//   - the <stanza-id/> of his own archive (XEP-0359), unless the script speaks of stanza ids;
//   - what people read in an error (<text/>), who made it ('by'), and the stanza that is given back with it.
func forgive(want, got *node.Element, bare, full string) *node.Element {
	g := *got
	g.Attrs = nil
	for _, a := range got.Attrs {
		_, asked := want.Lookup(a.Space, a.Local)
		own := a.Space == "" && (a.Local == "to" && (a.Value == full || a.Value == bare) || a.Local == "from" && a.Value == bare)
		if asked || !own || !isStanza(got) {
			g.Attrs = append(g.Attrs, a)
		}
	}
	g.Content = nil
	marks := mentions(want, nsStanzaID)
	for _, c := range got.Content {
		if c.Elem != nil {
			switch {
			case !marks && c.Elem.Is(nsStanzaID, "stanza-id") && c.Elem.Attr("by") == bare:
				continue
			case isError(got) && c.Elem.Local == "error":
				c.Elem = forgiveError(want.Child(c.Elem.Space, "error"), c.Elem)
			case isError(got) && want.Child(c.Elem.Space, c.Elem.Local) == nil:
				continue
			}
		} else if isError(got) {
			continue
		}
		g.Content = append(g.Content, c)
	}
	if got.Is(node.NSStream, "error") || got.Is(node.NSSASL, "failure") {
		return forgiveError(want, got)
	}
	return &g
}

// forgiveError takes the text for people and 'by' out of an error, unless they are asked for.
func forgiveError(want, got *node.Element) *node.Element {
	g := *got
	g.Attrs, g.Content = nil, nil
	for _, a := range got.Attrs {
		if want == nil || a.Local != "by" || want.Attr("by") != "" {
			g.Attrs = append(g.Attrs, a)
		}
	}
	for _, c := range got.Content {
		if c.Elem == nil || c.Elem.Local != "text" || (want != nil && want.Child(c.Elem.Space, "text") != nil) {
			g.Content = append(g.Content, c)
		}
	}
	return &g
}

const (
	nsStanzaID = "urn:xmpp:sid:0"
	nsErrors   = "urn:ietf:params:xml:ns:xmpp-stanzas"
)

func isStanza(e *node.Element) bool {
	return e.Space == node.NSClient && (e.Local == "message" || e.Local == "presence" || e.Local == "iq")
}

func isError(e *node.Element) bool { return isStanza(e) && e.Attr("type") == "error" }

// mentions tells whether a namespace is spoken of anywhere in e.
func mentions(e *node.Element, space string) bool {
	if e.Space == space {
		return true
	}
	for _, c := range e.Children() {
		if mentions(c, space) {
			return true
		}
	}
	return false
}
