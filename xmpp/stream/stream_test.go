package stream_test

import (
	"testing"

	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stream"
)

// TestWhatWeWriteIsAStream reads a whole stream of ours with the decoder of
// the other side.
func TestWhatWeWriteIsAStream(t *testing.T) {
	h := stream.Header{From: jid.MustParse("a.example"), To: jid.MustParse("b@a.example"), ID: "x'<&>", Lang: "en", Content: elem.NSClient}
	out := h.Append(nil)
	out = stream.AppendFeatures(out, elem.New(stream.NSTLS, "starttls").Add(elem.New(stream.NSTLS, "required")), nil, elem.New(stream.NSBind, "bind"))
	e := stream.Fail(stream.SeeOtherHost, "go <there>")
	e.Content, e.App = "[::1]:5222", elem.New("urn:x", "moved")
	out = e.Append(out)
	out = append(out, stream.Close...)

	d := elem.NewDecoder(elem.NSClient, elem.Limits{})
	d.Filled(copy(d.Space(), out))
	next := func(want elem.Event) *elem.Element {
		t.Helper()
		ev, err := d.Next()
		if err != nil || ev != want {
			t.Fatalf("%s: %v %v, want %v", out, ev, err, want)
		}
		return d.Element()
	}

	el := next(elem.StreamOpen)
	for name, want := range map[string]string{"from": "a.example", "to": "b@a.example", "id": "x'<&>", "version": "1.0"} {
		if got, _ := el.Attr(name); string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if lang, _ := el.Lang(); string(lang) != "en" || el.Default != elem.NSClient || el.Prefix != "stream" {
		t.Errorf("%q %q %q", lang, el.Default, el.Prefix)
	}

	el = next(elem.TopElement)
	if el.Name != elem.N(stream.NS, "features") || len(el.Parts) != 2 || el.Parts[0].Name != elem.N(stream.NSTLS, "starttls") || el.Parts[1].Name != elem.N(stream.NSBind, "bind") {
		t.Errorf("%+v", el)
	}

	el = next(elem.TopElement)
	n := el.Node()
	if el.Name != elem.N(stream.NS, "error") || n.Child("urn:x", "moved") == nil {
		t.Errorf("%+v", n)
	}
	if c := n.Child(stream.NSErrors, stream.SeeOtherHost); c == nil || c.Text != "[::1]:5222" {
		t.Errorf("%+v", c)
	}
	if c := n.Child(stream.NSErrors, "text"); c == nil || c.Text != "go <there>" {
		t.Errorf("%+v", c)
	}
	next(elem.StreamClose)
}

func TestHeaderWithoutAddresses(t *testing.T) {
	got := string(stream.Header{ID: "1", Content: elem.NSServer}.Append(nil))
	want := "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestErrorSaysItsConditionAndText(t *testing.T) {
	if got := stream.Fail(stream.HostUnknown, "not here").Error(); got != "host-unknown: not here" {
		t.Error(got)
	}
	if got := stream.Fail(stream.HostUnknown, "").Error(); got != "host-unknown" {
		t.Error(got)
	}
}
