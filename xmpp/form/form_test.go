package form_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"chancery/xmpp/elem"
	"chancery/xmpp/form"
	"chancery/xmpp/stanza"
)

func parse(t testing.TB, xml string) *elem.Node {
	t.Helper()
	n, err := elem.Parse([]byte(xml), stanza.NSClient)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func refusal(err error) string {
	var e *stanza.Error
	if errors.As(err, &e) {
		return e.Condition
	}
	return "none"
}

func TestFormIsReadAsItWasWritten(t *testing.T) {
	f := form.New(form.Ask, "urn:example").Add(
		form.Field{Var: "name", Type: form.TextSingle, Label: "Your name", Desc: "As <others> know you", Required: true, Values: []string{"a & b"}},
		form.Field{Type: form.Fixed, Values: []string{"Section"}},
		form.Field{Var: "colour", Type: form.ListSingle, Values: []string{"r"}, Options: []form.Option{{"Red", "r"}, {"Blue", "b"}}},
		form.Field{Var: "lines", Type: form.TextMulti, Values: []string{"one", "", "three"}},
	)
	f.Title, f.Instructions = "Title", "Do it"
	got, err := form.Parse(parse(t, string(f.Node().Append(nil, stanza.NSClient))))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, f) {
		t.Errorf("got  %+v\nwant %+v", got, f)
	}
}

func TestSubmitted(t *testing.T) {
	const begin, end = "<query xmlns='urn:q'><x xmlns='jabber:x:data' type='", "</x></query>"
	const kind = "<field var='FORM_TYPE'><value>urn:f</value></field>"
	for _, c := range []struct{ in, want string }{
		{begin + "submit'>" + kind + "<field var='a'><value>1</value></field>" + end, "none"},
		{begin + "cancel'>" + end, "none"},
		{begin + "result'>" + kind + end, stanza.BadRequest},
		{begin + "submit'>" + end, stanza.BadRequest},
		{begin + "'>" + kind + end, stanza.BadRequest},
		{begin + "submit'>" + kind + kind + end, stanza.BadRequest},
		{begin + "submit'>" + kind + "<field><value>1</value></field>" + end, stanza.BadRequest},
		{begin + "submit'>" + kind + "<field var='v'>" + strings.Repeat("<value/>", form.MaxValues+1) + "</field>" + end, stanza.PolicyViolation},
		{begin + "submit'>" + kind + strings.Repeat("<field type='fixed'/>", form.MaxFields) + end, stanza.PolicyViolation},
		{"<query xmlns='urn:q'/>", stanza.BadRequest},
	} {
		if _, err := form.Submitted(parse(t, c.in), "urn:f"); refusal(err) != c.want {
			t.Errorf("%.200s: %v, want %s", c.in, err, c.want)
		}
	}
}

func TestValues(t *testing.T) {
	f, err := form.Parse(parse(t, `<x xmlns='jabber:x:data' type='submit'>
		<field var='yes'><value>1</value></field><field var='no'><value>false</value></field><field var='odd'><value>maybe</value></field>
		<field var='empty'/><field var='who'><value>A@b.example</value><value/><value>c.example/x</value></field></x>`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name            string
		otherwise, want bool
		err             string
	}{
		{"yes", false, true, "none"}, {"no", true, false, "none"}, {"empty", true, true, "none"}, {"absent", true, true, "none"},
		{"odd", true, false, stanza.NotAcceptable},
	} {
		if got, err := f.Bool(c.name, c.otherwise); got != c.want || refusal(err) != c.err {
			t.Errorf("%s: %v %v", c.name, got, err)
		}
	}
	who, err := f.JIDs("who")
	if err != nil || len(who) != 2 || who[0].String() != "a@b.example" || who[1].Resource() != "x" {
		t.Errorf("who: %v %v", who, err)
	}
	if _, err := f.JIDs("yes"); err != nil {
		t.Errorf("a domain is an address: %v", err)
	}
	if !f.Has("empty") || f.Has("absent") || f.Value("empty") != "" || len(f.Values("who")) != 3 {
		t.Error("fields are not found")
	}
}

// FuzzParse: whatever was taken is read the same after it was written.
func FuzzParse(f *testing.F) {
	f.Add("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:f</value></field></x>")
	f.Add("<x xmlns='jabber:x:data' type='form'><title>t</title><instructions>i</instructions><field var='a' type='list-single' label='l'><desc>d</desc><required/><value>1</value><option label='x'><value>1</value></option></field></x>")
	f.Fuzz(func(t *testing.T, in string) {
		e, err := elem.ParseElement([]byte(in), form.NS, elem.Limits{})
		if err != nil {
			return
		}
		one, err := form.Parse(e.Node())
		if err != nil {
			return
		}
		again, err := form.Parse(parse(t, string(one.Node().Append(nil, ""))))
		if err != nil || !reflect.DeepEqual(one, again) {
			t.Fatalf("%s\n first %+v\n again %+v %v", in, one, again, err)
		}
	})
}
