package ops

import (
	"bytes"
	"testing"

	"chancery/xmpp/elem"
)

func FuzzHideTexts(f *testing.F) {
	f.Add("wherefore art thou", "a > b")
	f.Add("<&>'\"", "'\"<")
	f.Fuzz(func(t *testing.T, text, attr string) {
		// What a session hands over is canonical: so is this, whatever the text.
		x := elem.New("urn:example", "x").With("a", attr).Add(elem.New("urn:example", "max").SetText("5"), elem.New("urn:example", "secret").SetText(text))
		xml := x.Append(nil, "")
		got := hideTexts(xml)
		shape := elem.New("urn:example", "x").With("a", attr).Append(nil, "")
		if !bytes.HasPrefix(got, bytes.TrimSuffix(shape, []byte("/>"))) || !bytes.Contains(got, []byte("<max>5</max>")) {
			t.Fatalf("%s\nbecame\n%s", xml, got)
		}
		if hidden := bytes.Contains(got, []byte(" bytes)</secret>")); hidden != (text != "") {
			t.Fatalf("%s\nbecame\n%s", xml, got)
		}
		hideTexts([]byte(text)) // not canonical at all: it ends, and does not panic
	})
}
