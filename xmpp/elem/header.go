package elem

import (
	"bytes"
	"slices"
)

// declaration reads <?xml …?>, which may only be the very first thing.
func (d *Decoder) declaration() error {
	const begin, longest = "<?xml", 256
	w := d.w
	s := w.buf[w.r:w.n]
	if len(s) == 0 {
		return ErrMore
	}
	if len(s) <= len(begin) {
		if string(s) == begin[:len(s)] {
			return ErrMore
		}
		d.state = atHeader
		return nil
	}
	if string(s[:len(begin)]) != begin || class[s[len(begin)]]&space == 0 {
		d.state = atHeader
		return nil
	}
	end := bytes.Index(s[:min(len(s), longest)], []byte("?>"))
	if end < 0 {
		if len(s) >= longest {
			return notWellFormed("bad XML declaration")
		}
		return ErrMore
	}
	if err := checkDeclaration(s[len(begin):end]); err != nil {
		return err
	}
	w.r += end + 2
	d.state = atHeader
	return nil
}

// checkDeclaration reads the pseudo-attributes of an XML declaration with the
// means for a tag.
func checkDeclaration(s []byte) error {
	s = append(slices.Clone(s), '>')
	t := tag{limit: 4}
	if _, err := t.scanAttrs(s, 0); err != nil {
		return notWellFormed("bad XML declaration")
	}
	order := []string{"version", "encoding", "standalone"}
	for i := range t.attrs {
		a := &t.attrs[i]
		name, value := string(a.name(s)), s[a.val:a.end]
		at := slices.Index(order, name)
		switch {
		case at < 0 || i == 0 && name != "version":
			return notWellFormed("bad XML declaration")
		case name == "version" && string(value) != "1.0":
			return notWellFormed("only XML 1.0 is understood")
		case name == "encoding" && !bytes.EqualFold(value, []byte("UTF-8")):
			return &Error{"unsupported-encoding", "only UTF-8 is understood"}
		case name == "standalone" && string(value) != "yes" && string(value) != "no":
			return notWellFormed("bad XML declaration")
		}
		order = order[at+1:]
	}
	if len(t.attrs) == 0 {
		return notWellFormed("bad XML declaration")
	}
	return nil
}

// openStream reads the stream header (RFC 6120 §4.7, §4.8).
func (d *Decoder) openStream(s []byte) (Event, error) {
	w := d.w
	if err := d.startTag(s, 0); err != nil {
		return 0, err
	}
	f := &w.stack[0]
	if f.ns != NSStream {
		return 0, &Error{"invalid-namespace", "this is no stream header"}
	}
	if string(w.top.local(s)) != "stream" {
		return 0, &Error{"bad-format", "this is no stream header"}
	}
	if f.def != "" && f.def != d.content && f.def != NSStream {
		return 0, &Error{"invalid-namespace", "content namespace is not supported"}
	}
	d.streamName, d.def = string(s[f.start:f.end]), f.def
	d.header = slices.Clone(w.scope)
	d.state = open
	d.fill(s)
	if w.top.empty {
		// <stream:stream/> opens and closes; the close is next.
		d.state = closed
	}
	return StreamOpen, nil
}

func (d *Decoder) closeStream(s []byte) (Event, error) {
	if d.state != open {
		return 0, notWellFormed("end tag without a start tag")
	}
	end, err := endTag(s, 0, []byte(d.streamName))
	if err == ErrMore {
		return 0, d.w.wait(s, 0)
	}
	if err != nil {
		return 0, err
	}
	d.w.pos = end
	d.elem = Element{}
	d.state = closed
	return StreamClose, nil
}
