// Package form is data forms (XEP-0004): questions to people and programs, and
// their answers.
package form

import (
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// NS is the namespace of XEP-0004.
const NS = "jabber:x:data"

// Type is what a form is for.
const (
	Ask    = "form"
	Submit = "submit"
	Cancel = "cancel"
	Result = "result"
)

// Types of fields (XEP-0004 §3.3).
const (
	Boolean     = "boolean"
	Fixed       = "fixed"
	Hidden      = "hidden"
	JIDMulti    = "jid-multi"
	JIDSingle   = "jid-single"
	ListMulti   = "list-multi"
	ListSingle  = "list-single"
	TextMulti   = "text-multi"
	TextPrivate = "text-private"
	TextSingle  = "text-single"
)

// Bounds of a form that comes in: more is refused, whatever the limits of the
// stream are.
const (
	MaxFields = 256
	MaxValues = 1024 // of one field
)

// formType is the hidden field that says what the others mean (XEP-0068).
const formType = "FORM_TYPE"

// Form is one data form.
type Form struct {
	Type                string
	Title, Instructions string
	Fields              []Field
}

// Field is one question or answer.
type Field struct {
	Var, Type, Label, Desc string
	Values                 []string
	Options                []Option
	Required               bool
}

// Option is a choice of a list.
type Option struct{ Label, Value string }

// New makes a form whose fields are those of the standardised FORM_TYPE; ""
// makes one without it.
func New(typ, meaning string) *Form {
	f := &Form{Type: typ}
	if meaning != "" {
		f.Add(Field{Var: formType, Type: Hidden, Values: []string{meaning}})
	}
	return f
}

// Add appends fields.
func (f *Form) Add(fields ...Field) *Form {
	f.Fields = append(f.Fields, fields...)
	return f
}

// With appends a field without words for people, as in results.
func (f *Form) With(name, typ string, values ...string) *Form {
	return f.Add(Field{Var: name, Type: typ, Values: values})
}

// Parse reads an <x/>. Errors are *stanza.Error: bad-request for what is no
// form, policy-violation for one that is too large.
func Parse(x *elem.Node) (*Form, error) {
	if x == nil || x.Name != elem.N(NS, "x") {
		return nil, stanza.Refuse(stanza.BadRequest, "there is no form")
	}
	f := &Form{Type: x.Attr("type"), Title: text(x, "title"), Instructions: text(x, "instructions")}
	switch f.Type {
	case Ask, Submit, Cancel, Result:
	default:
		return nil, stanza.Refuse(stanza.BadRequest, "the form has no type")
	}
	seen := map[string]bool{}
	for _, n := range x.Children {
		if n.Name != elem.N(NS, "field") {
			continue
		}
		field := parseField(n)
		switch {
		case len(f.Fields) == MaxFields || len(field.Values) > MaxValues || len(field.Options) > MaxValues:
			return nil, stanza.Refuse(stanza.PolicyViolation, "the form is too large")
		case field.Type == Fixed:
		case field.Var == "" || seen[field.Var]:
			return nil, stanza.Refuse(stanza.BadRequest, "a field has no name or is there twice")
		}
		seen[field.Var] = true
		f.Fields = append(f.Fields, field)
	}
	return f, nil
}

// Submitted reads the form among the children of a query that says it answers
// a form of that FORM_TYPE. A cancelled form is nil without an error.
func Submitted(query *elem.Node, meaning string) (*Form, error) {
	f, err := Parse(query.Child(NS, "x"))
	switch {
	case err != nil:
		return nil, err
	case f.Type == Cancel:
		return nil, nil
	case f.Type != Submit:
		return nil, stanza.Refuse(stanza.BadRequest, "the form is not of type 'submit'")
	case f.Meaning() != meaning:
		return nil, stanza.Refuse(stanza.BadRequest, "the form is not a '"+meaning+"'")
	}
	return f, nil
}

func parseField(n *elem.Node) Field {
	f := Field{Var: n.Attr("var"), Type: n.Attr("type"), Label: n.Attr("label")}
	for _, c := range n.Children {
		if c.Name.Space != NS {
			continue
		}
		switch c.Name.Local {
		case "value":
			f.Values = append(f.Values, c.Text)
		case "option":
			f.Options = append(f.Options, Option{Label: c.Attr("label"), Value: text(c, "value")})
		case "required":
			f.Required = true
		case "desc":
			f.Desc = c.Text
		}
	}
	return f
}

func text(n *elem.Node, child string) string {
	if c := n.Child(NS, child); c != nil {
		return c.Text
	}
	return ""
}

// Meaning is the value of FORM_TYPE.
func (f *Form) Meaning() string { return f.Value(formType) }

// Field finds a field by its name; nil when it is absent.
func (f *Form) Field(name string) *Field {
	for i := range f.Fields {
		if f.Fields[i].Var == name && f.Fields[i].Type != Fixed {
			return &f.Fields[i]
		}
	}
	return nil
}

// Has tells whether the field is there, with or without a value.
func (f *Form) Has(name string) bool { return f.Field(name) != nil }

// Value is the first value of a field, "" when there is none.
func (f *Form) Value(name string) string {
	if d := f.Field(name); d != nil && len(d.Values) > 0 {
		return d.Values[0]
	}
	return ""
}

// Values are all values of a field.
func (f *Form) Values(name string) []string {
	if d := f.Field(name); d != nil {
		return d.Values
	}
	return nil
}

// Bool reads a boolean (XEP-0004 §3.3: "1", "true", "0", "false"); a field
// that is absent or empty is otherwise.
func (f *Form) Bool(name string, otherwise bool) (bool, error) {
	switch f.Value(name) {
	case "":
		return otherwise, nil
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, stanza.Refuse(stanza.NotAcceptable, name+" is neither true nor false")
}

// JIDs reads a field of addresses.
func (f *Form) JIDs(name string) ([]jid.JID, error) {
	var out []jid.JID
	for _, v := range f.Values(name) {
		if v == "" {
			continue
		}
		j, err := jid.Parse(v)
		if err != nil {
			return nil, stanza.Refuse(stanza.NotAcceptable, name+" is not an address")
		}
		out = append(out, j)
	}
	return out, nil
}

// Node is the <x/>.
func (f *Form) Node() *elem.Node {
	x := elem.New(NS, "x").With("type", f.Type)
	for _, c := range []struct{ name, text string }{{"title", f.Title}, {"instructions", f.Instructions}} {
		if c.text != "" {
			x.Add(elem.New(NS, c.name).SetText(c.text))
		}
	}
	for i := range f.Fields {
		x.Add(f.Fields[i].node())
	}
	return x
}

func (d *Field) node() *elem.Node {
	n := elem.New(NS, "field").With("var", d.Var).With("type", d.Type).With("label", d.Label)
	if d.Desc != "" {
		n.Add(elem.New(NS, "desc").SetText(d.Desc))
	}
	if d.Required {
		n.Add(elem.New(NS, "required"))
	}
	for _, v := range d.Values {
		n.Add(elem.New(NS, "value").SetText(v))
	}
	for _, o := range d.Options {
		n.Add(elem.New(NS, "option").With("label", o.Label).Add(elem.New(NS, "value").SetText(o.Value)))
	}
	return n
}
