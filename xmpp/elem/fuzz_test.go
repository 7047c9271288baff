package elem

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const maxFuzz = 2 << 10 // larger inputs only meet the limits

// transcripts is where the stanzas of all transcripts are found: each is a
// seed.
const transcripts = "../../test/transcript/scripts"

func seeds(f *testing.F) {
	f.Helper()
	err := filepath.WalkDir(transcripts, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if i := strings.IndexByte(line, '<'); i >= 0 && len(line) <= maxFuzz {
				f.Add(strings.TrimSpace(line[i:]))
			}
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range canonical {
		f.Add(c.in)
	}
	for _, c := range hostile {
		if len(c.in) <= maxFuzz {
			f.Add(c.in)
		}
	}
	for _, s := range []string{benchChat, benchLong, benchPrefixed} {
		f.Add(s)
	}
}

// FuzzPieces: it does not matter how the bytes of a stream are cut into reads.
func FuzzPieces(f *testing.F) {
	seeds(f)
	f.Add(testHeader + "<iq/></stream:stream>")
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > maxFuzz {
			return
		}
		for _, text := range []string{in, testHeader + in} {
			whole, err := feed(NewDecoder(NSClient, Limits{}), text, 1<<20)
			for _, step := range []int{1, 2, 7} {
				d := NewDecoder(NSClient, Limits{})
				pieces, perr := feed(d, text, step)
				if err != nil && perr == nil {
					// What is wrong with a tag that is not complete may be
					// found only when more of it is there.
					_, perr = feed(d, strings.Repeat(" ", len(text)+64), 1<<20)
				}
				if !slices.Equal(whole, pieces) || condition(err) != condition(perr) {
					t.Fatalf("%q\n whole     %q %v\n in pieces of %d %q %v", text, whole, err, step, pieces, perr)
				}
			}
		}
	})
}

// one reads a single stanza on a stream with that content namespace.
func one(content, stanza string) (*Element, error) {
	d := NewDecoder(content, Limits{Bytes: 1 << 20, Depth: 64, Attrs: 100, Namespaces: 64})
	var last Event
	for _, s := range []string{strings.Replace(testHeader, NSClient, content, 1), stanza} {
		for done := false; !done; {
			n := copy(d.Space(), s)
			d.Filled(n)
			s = s[n:]
			ev, err := d.Next()
			last = ev
			if done = err == nil || s == ""; done && err != nil || err != nil && err != ErrMore {
				return nil, err
			}
		}
		if s != "" {
			return nil, errors.New("more than one stanza")
		}
	}
	if d.Buffered() > 0 || last != TopElement {
		return nil, errors.New("not than one stanza")
	}
	e := *d.Element()
	return &e, nil
}

// FuzzCanonical: canonical content stays as it is when it is read again, on
// any kind of stream; it means to encoding/xml what the original meant; and
// the trees made of it are written and read without loss.
func FuzzCanonical(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > maxFuzz {
			return
		}
		in = strings.TrimLeft(in, " \t\r\n")
		e, err := one(NSClient, in)
		if err != nil {
			return
		}
		if len(e.Inner) > 4<<10+3*len(in) {
			t.Fatalf("%q grew to %d bytes", in, len(e.Inner))
		}
		before, err := tokens(testHeader + in + "</stream:stream>")
		if err != nil {
			t.Fatalf("encoding/xml refuses %q: %v", in, err)
		}
		if e.Name.Space != NSClient {
			return // how others' children inherit is not the stanza's way
		}
		again := "<" + e.Name.Local + ">" + string(e.Inner) + "</" + e.Name.Local + ">"
		after, err := tokens(testHeader + again + "</stream:stream>")
		if err != nil {
			t.Fatalf("encoding/xml refuses %q of %q: %v", again, in, err)
		}
		if before[1].name != after[1].name || !reflect.DeepEqual(before[2:], after[2:]) {
			t.Fatalf("%q\n became %q\n before %+v\n after  %+v", in, again, before[2:], after[2:])
		}
		for _, content := range []string{NSClient, NSServer} {
			r, err := one(content, again)
			if err != nil {
				t.Fatalf("%q of %q on a stream of %s: %v", again, in, content, err)
			}
			if string(r.Inner) != string(e.Inner) || !slices.Equal(r.Parts, e.Parts) {
				t.Fatalf("%q\n first %q %v\n then  %q %v", in, e.Inner, e.Parts, r.Inner, r.Parts)
			}
		}
		for _, p := range e.Parts {
			n, err := Parse(e.Inner[p.Start:p.End], NSClient)
			if err != nil || n.Name != p.Name {
				t.Fatalf("%q: part %v is %v, %v", e.Inner, p, n, err)
			}
			checkTree(t, n)
		}
	})
}

// checkTree writes a tree and reads it again.
func checkTree(t *testing.T, n *Node) {
	t.Helper()
	text := n.Append(nil, NSClient)
	e, err := one(NSClient, "<message>"+string(text)+"</message>")
	if err != nil || len(e.Parts) != 1 {
		t.Fatalf("the decoder refuses %q: %v", text, err)
	}
	if string(e.Inner) != string(text) {
		t.Fatalf("not canonical: %q\n made %q", text, e.Inner)
	}
	again, err := Parse(text, NSClient)
	if err != nil || !reflect.DeepEqual(n, again) {
		t.Fatalf("tree %q:\n first %+v\n again %+v %v", text, n, again, err)
	}
}

// token is what encoding/xml finds, as far as it matters.
type token struct {
	name  xml.Name
	attrs []xml.Attr
	text  string
	end   bool
}

// tokens reads a document with encoding/xml. The content namespaces are one.
func tokens(doc string) (out []token, err error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		t, err := d.Token()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			k := token{name: sameContent(t.Name)}
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
					continue
				}
				// encoding/xml does not normalise white space in values.
				a.Value, a.Name.Space = strings.Map(blank, a.Value), strings.Map(blank, a.Name.Space)
				k.attrs = append(k.attrs, a)
			}
			out = append(out, k)
		case xml.EndElement:
			out = append(out, token{end: true})
		case xml.CharData:
			if n := len(out); n > 0 && out[n-1].text != "" {
				out[n-1].text += string(t)
			} else if len(t) > 0 {
				out = append(out, token{text: string(t)})
			}
		}
	}
}

// sameContent takes the content namespaces for one.
func sameContent(n xml.Name) xml.Name {
	if n.Space = strings.Map(blank, n.Space); n.Space == NSServer {
		n.Space = NSClient
	}
	return n
}

func blank(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

// FuzzParse: bytes that did not come from the decoder, as of a damaged
// database, do no harm.
func FuzzParse(f *testing.F) {
	for _, c := range canonical {
		f.Add(c.inner)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if n, err := Parse([]byte(in), NSClient); err == nil {
			n.Append(nil, NSClient)
		}
		_, _ = ParseElement([]byte(in), NSClient, Limits{})
	})
}

// FuzzNode: whatever strings a tree holds, it is written as canonical XML and
// read as it was, but for characters that XML does not have.
func FuzzNode(f *testing.F) {
	f.Add("urn:x", "value", "text", "more")
	f.Add("jabber:client", "<&>'\"\r\n\t", "]]>\x00\xff", " \uFFFE ")
	f.Add("", "", "", "")
	f.Fuzz(func(t *testing.T, space, value, text, more string) {
		if strings.ToValidUTF8(space, "") != space || space == NSXML || space == NSXMLNS || space == NSServer {
			return
		}
		for _, r := range space {
			if !isChar(r) {
				return
			}
		}
		clean := func(s string) string {
			return string(unescape(nil, AppendText(nil, s), false))
		}
		n := New(space, "a").WithAttr("v", value).WithAttr("xml:lang", more).SetText(text)
		if space != "" {
			n.Attrs = append(n.Attrs, Attr{Name{space, "n"}, more})
		}
		n = New(space, "outer").Add(n, New("urn:y", "b").SetText(more), New("", "c"))
		got, err := Parse(n.Append(nil, NSClient), NSClient)
		if err != nil {
			t.Fatalf("%q: %v", n.Append(nil, NSClient), err)
		}
		a := got.Child(space, "a")
		if a == nil || a.Attr("v") != clean(value) || a.Attr("xml:lang") != clean(more) || a.Text != clean(text) {
			t.Fatalf("%q became %+v", n.Append(nil, NSClient), a)
		}
		if got.Child("urn:y", "b") == nil || got.Child("", "c") == nil {
			t.Fatalf("%q lost children", n.Append(nil, NSClient))
		}
		checkTree(t, got)
	})
}
