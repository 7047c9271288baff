package elem

import "bytes"

// element reads a child of the stream, as far as it is there.
func (d *Decoder) element(s []byte) error {
	w := d.w
	if len(w.stack) == 0 {
		if err := d.startTag(s, 0); err != nil {
			return err
		}
		if err := d.checkTop(); err != nil {
			return err
		}
		w.inner, w.done = w.pos, w.pos
		if w.top.empty {
			return d.finish(s, w.pos)
		}
	}
	for {
		if w.cdata > 0 {
			if err := w.readCDATA(s); err != nil {
				return err
			}
		}
		if err := w.readText(s); err != nil {
			return err
		}
		i := w.pos
		if i+1 >= len(s) {
			return ErrMore
		}
		switch s[i+1] {
		case '/':
			if end, err := d.endElement(s, i); err != nil || end >= 0 {
				if err != nil {
					return err
				}
				return d.finish(s, end)
			}
		case '!', '?':
			if err := d.markup(s, i); err != nil {
				return err
			}
		default:
			if err := d.startTag(s, i); err != nil {
				return err
			}
		}
		if err := w.bounded(); err != nil {
			return err
		}
	}
}

// checkTop refuses top-level elements that cannot be on this stream.
func (d *Decoder) checkTop() error {
	switch n := d.w.name; {
	case n.Space == NSStream && n.Local == "stream":
		return &Error{"bad-format", "second stream header"}
	case n.Space != d.content && isContent(n.Space):
		return &Error{"invalid-namespace", "content namespace of another kind of stream"}
	}
	return nil
}

// finish makes the public element; its content ends at end.
func (d *Decoder) finish(s []byte, end int) error {
	w := d.w
	d.fill(s)
	switch {
	case len(w.out) == 0 && w.done == w.inner:
		if end > w.inner {
			d.elem.Inner = append(make([]byte, 0, end-w.inner), s[w.inner:end]...)
		}
	default:
		d.elem.Inner = append(append(make([]byte, 0, len(w.out)+end-w.done), w.out...), s[w.done:end]...)
	}
	if len(w.parts) > 0 {
		d.elem.Parts = append(make([]Part, 0, len(w.parts)), w.parts...)
	}
	return nil
}

// at is where the source at pos stands in canonical form.
func (w *work) at(pos int) int { return len(w.out) + pos - w.done }

// cut leaves out the source from start to end: what is appended to out next
// stands in its place.
func (w *work) cut(s []byte, start, end int) {
	w.out = append(w.out, s[w.done:start]...)
	w.done = end
}

// bounded keeps re-serialising from blowing up what the peer sent: prefixes
// that stand for long namespaces, escapes. Ordinary stanzas grow by a few
// declarations.
func (w *work) bounded() error {
	if len(w.out) > 4<<10+2*w.pos {
		return tooMuch("element grows when it is made canonical")
	}
	return nil
}

// readText reads character data up to the next '<'.
func (w *work) readText(s []byte) error {
	i := w.pos
	for {
		i = plainText(s, i)
		w.pos = i
		if i == len(s) {
			return ErrMore
		}
		switch c := s[i]; {
		case c == '<':
			return nil
		case c == '&':
			_, end, err := reference(s, i)
			if err != nil {
				return err
			}
			i = end
		case c == ']':
			if err := notCDATAEnd(s, i); err != nil {
				return err
			}
			i++
		case c == '\r':
			n, err := w.lineEnd(s, i)
			if err != nil {
				return err
			}
			i += n
		case c < ' ':
			return notWellFormed("character is not allowed in XML")
		default:
			var err error
			if i, err = beyondASCII(s, i); err != nil {
				w.pos = i
				return err
			}
		}
	}
}

// notCDATAEnd refuses "]]>" in text (XML 1.0 §2.4).
func notCDATAEnd(s []byte, i int) error {
	const end = "]]>"
	n := min(len(s)-i, len(end))
	switch {
	case string(s[i:i+n]) != end[:n]:
		return nil
	case n < len(end):
		return ErrMore
	}
	return notWellFormed("']]>' in text")
}

// lineEnd makes CR LF and CR into LF (XML 1.0 §2.11).
func (w *work) lineEnd(s []byte, i int) (n int, err error) {
	if i+1 == len(s) {
		return 0, ErrMore
	}
	w.cut(s, i, i+1)
	if s[i+1] != '\n' {
		w.out = append(w.out, '\n')
	}
	return 1, nil
}

// markup reads what begins with <! or <?: only CDATA is allowed in XMPP
// (RFC 6120 §11.1), and only within stanzas.
func (d *Decoder) markup(s []byte, i int) error {
	const cdata = "<![CDATA["
	if s[i+1] == '?' {
		return restricted("processing instruction")
	}
	n := min(len(s)-i, len(cdata))
	switch {
	case n > 2 && s[i+2] == '-':
		return restricted("comment")
	case n > 2 && s[i+2] == 'D':
		return restricted("document type declaration")
	case string(s[i:i+n]) != cdata[:n]:
		return notWellFormed("bad markup")
	case n < len(cdata):
		return ErrMore
	case d.state == atHeader:
		return notWellFormed("text before the stream header")
	case len(d.w.stack) == 0:
		return &Error{"bad-format", "text between stanzas"}
	}
	end := i + len(cdata)
	d.w.cut(s, i, end)
	d.w.pos, d.w.cdata = end, end
	return nil
}

// readCDATA makes the rest of a CDATA section into text.
func (w *work) readCDATA(s []byte) error {
	for i := w.pos; ; w.pos = i {
		if err := w.bounded(); err != nil {
			return err
		}
		if i == len(s) {
			return ErrMore
		}
		switch c := s[i]; {
		case c == '&' || c == '<' || c == '>':
			w.cut(s, i, i+1)
			w.out = append(w.out, escapeOf(c)...)
			i++
		case c == ']':
			switch notCDATAEnd(s, i) {
			case ErrMore:
				return ErrMore
			case nil:
				i++
				continue
			}
			if i > w.cdata && s[i-1] == ']' {
				// With a '>' after the section this would be "]]>".
				w.cut(s, i-1, i)
				w.out = append(w.out, "&#x5D;"...)
			}
			w.cut(s, i, i+3)
			w.pos, w.cdata = i+3, 0
			return nil
		case c == '\r':
			n, err := w.lineEnd(s, i)
			if err != nil {
				return err
			}
			i += n
		case c < ' ' && class[c]&space == 0:
			return notWellFormed("character is not allowed in XML")
		case c >= 0x80:
			_, n, err := char(s, i)
			if err != nil {
				return err
			}
			i += n
		default:
			i++
		}
	}
}

// endTag reads the end tag at s[i] of an element with that name.
func endTag(s []byte, i int, name []byte) (end int, err error) {
	i += 2
	have := s[i:min(len(s), i+len(name))]
	if !bytes.Equal(have, name[:len(have)]) {
		return 0, notWellFormed("end tag does not match")
	}
	i = skipSpace(s, i+len(have))
	if i == len(s) {
		return 0, ErrMore
	}
	if s[i] != '>' {
		return 0, notWellFormed("end tag does not match")
	}
	return i + 1, nil
}

// endElement reads an end tag. When it is that of the top-level element, it
// says where the content ends; otherwise -1.
func (d *Decoder) endElement(s []byte, i int) (content int, err error) {
	w := d.w
	f := &w.stack[len(w.stack)-1]
	end, err := endTag(s, i, s[f.start:f.end])
	if err == ErrMore {
		return 0, w.wait(s, i)
	}
	if err != nil {
		return 0, err
	}
	w.pos = end
	if len(w.stack) == 1 {
		return i, nil
	}
	if f.colon >= 0 {
		w.cut(s, i, end)
		w.out = append(w.out, "</"...)
		w.out = append(w.out, s[f.colon+1:f.end]...)
		w.out = append(w.out, '>')
	}
	w.pop()
	return -1, nil
}

func (w *work) pop() {
	f := &w.stack[len(w.stack)-1]
	w.scope = w.scope[:f.scope]
	w.stack = w.stack[:len(w.stack)-1]
	if len(w.stack) == 1 {
		w.parts[len(w.parts)-1].End = w.at(w.pos)
	}
}

// wait says ErrMore for a tag that begins at i and is not complete. So that a
// peer who sends it byte by byte does not make us read it from its beginning
// each time, only its end is looked for, and the tag is read again when that is
// there or the tag has grown twofold (which finds early what is wrong with it).
func (w *work) wait(s []byte, i int) error {
	if w.seen < i {
		w.seen, w.quote = i, 0
	}
	w.pos = i
	w.ended(s)
	w.again = len(s) + max(len(s)-i, 64)
	return ErrMore
}

// ready tells whether it is worth while to read on.
func (w *work) ready(s []byte) bool {
	if w.again > 0 && !w.ended(s) && len(s) < w.again {
		return false
	}
	w.again = 0
	return true
}

// ended looks for the end of the tag at pos in what it has not seen yet.
func (w *work) ended(s []byte) bool {
	for i := max(w.seen, w.pos+1); i < len(s); i++ {
		switch c := s[i]; {
		case c == '<' || c == '>' && w.quote == 0:
			w.seen = i
			return true
		case c == w.quote:
			w.quote = 0
		case w.quote == 0 && (c == '"' || c == '\''):
			w.quote = c
		}
	}
	w.seen = len(s)
	return false
}

// startTag reads a start tag and opens its element.
func (d *Decoder) startTag(s []byte, i int) error {
	w := d.w
	t := &w.tag
	if len(w.stack) == 0 {
		t = &w.top
	}
	if len(w.stack) >= d.limits.Depth {
		return tooMuch("elements are nested too deeply")
	}
	if w.elems++; w.elems > max(64, d.limits.Bytes/bytesPerElement) {
		return tooMuch("too many elements")
	}
	t.limit = d.limits.Attrs
	end, err := t.scan(s, i)
	if err == ErrMore {
		w.elems--
		return w.wait(s, i)
	}
	if err != nil {
		return err
	}
	w.pos = end
	w.stack = append(w.stack, frame{})
	f := &w.stack[len(w.stack)-1]
	if len(w.stack) == 1 {
		f.def = d.def
		if err := d.resolveTag(s, t, f); err != nil {
			return err
		}
		w.name = Name{f.ns, d.w.names.get(t.local(s))}
		f.content = isContent(f.ns)
		return nil
	}
	parent := &w.stack[len(w.stack)-2]
	f.def = parent.def
	if err := d.resolveTag(s, t, f); err != nil {
		return err
	}
	f.content = parent.content && isContent(f.ns)
	if len(w.stack) == 2 {
		if err := d.addPart(s, t, f, i); err != nil {
			return err
		}
	}
	d.canonical(s, t, parent, f, i, end)
	if t.empty {
		w.pop()
	}
	return nil
}

func (d *Decoder) addPart(s []byte, t *tag, f *frame, start int) error {
	w := d.w
	if len(w.parts) == maxParts {
		return tooMuch("too many children")
	}
	name := Name{f.ns, d.w.names.get(t.local(s))}
	if f.content {
		name.Space = NSClient
	}
	w.parts = append(w.parts, Part{Name: name, Start: w.at(start)})
	return nil
}

// isContent tells the namespaces of stanzas, which are one for the payload.
func isContent(ns string) bool { return ns == NSClient || ns == NSServer }

// resolveTag resolves the namespaces of a tag; f.def is the default one around
// it.
func (d *Decoder) resolveTag(s []byte, t *tag, f *frame) error {
	w := d.w
	f.start, f.colon, f.end, f.scope = t.start, t.colon, t.nameEnd, int32(len(w.scope))
	if t.spaces {
		if err := d.declare(s, t, f); err != nil {
			return err
		}
	}
	f.ns = f.def
	if t.colon >= 0 {
		var ok bool
		switch f.ns, ok = d.resolve(s[t.start:t.colon]); {
		case !ok:
			return notWellFormed("prefix is not declared")
		case f.ns == NSXML:
			// The default namespace cannot be this one, so there is no
			// canonical form; there are no such elements either.
			return notWellFormed("element in the namespace of XML")
		}
	}
	if t.spaces {
		return d.distinctExpanded(s, t)
	}
	return nil
}

// declare brings the declarations of a tag into scope.
func (d *Decoder) declare(s []byte, t *tag, f *frame) error {
	w := d.w
	for i := range t.attrs {
		a := &t.attrs[i]
		switch a.kind {
		case bindsAll:
			f.def = d.w.names.get(a.value(s))
			if f.def == NSXML || f.def == NSXMLNS {
				return notWellFormed("reserved namespace")
			}
			// Without a name nothing resolves to it, but it counts.
			w.scope = append(w.scope, binding{"", f.def})
		case binds:
			if err := d.bind(s, a); err != nil {
				return err
			}
		default:
			continue
		}
		if len(d.header)+len(w.scope) > d.limits.Namespaces {
			return tooMuch("too many namespace declarations")
		}
	}
	return nil
}

// bind obeys the constraints of Namespaces in XML 1.0 §2.2 and §3.
func (d *Decoder) bind(s []byte, a *attr) error {
	prefix, uri := a.local(s), d.w.names.get(a.value(s))
	switch {
	case uri == "":
		return notWellFormed("prefix without a namespace")
	case string(prefix) == "xmlns", uri == NSXMLNS, (string(prefix) == "xml") != (uri == NSXML):
		return notWellFormed("reserved prefix or namespace")
	}
	d.w.scope = append(d.w.scope, binding{d.w.names.get(prefix), uri})
	return nil
}

func (d *Decoder) resolve(prefix []byte) (string, bool) {
	if string(prefix) == "xmlns" {
		return "", false
	}
	if uri, ok := resolve(d.w.scope, prefix); ok {
		return uri, true
	}
	return resolve(d.header, prefix)
}

// distinctExpanded refuses unknown prefixes of attributes, and two attributes
// whose names are the same once prefixes are resolved.
func (d *Decoder) distinctExpanded(s []byte, t *tag) error {
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.kind != prefixed {
			continue
		}
		ns, ok := d.resolve(a.prefix(s))
		if !ok {
			return notWellFormed("prefix is not declared")
		}
		for j := range t.attrs[:i] {
			b := &t.attrs[j]
			if b.kind != prefixed || !bytes.Equal(a.local(s), b.local(s)) {
				continue
			}
			if other, _ := d.resolve(b.prefix(s)); other == ns {
				return notWellFormed("attribute is there twice")
			}
		}
	}
	return nil
}

// canonical leaves the tag from start to end as it is, or writes it anew.
func (d *Decoder) canonical(s []byte, t *tag, parent, f *frame, start, end int) {
	inherits := f.ns == parent.ns || f.content
	if t.colon < 0 && !t.blanks {
		declares, outside := false, false
		if t.spaces {
			declares, outside = t.declarations(s)
		}
		if !outside && (declares && !f.content || !declares && inherits) {
			return
		}
	}
	d.rewrite(s, t, f, inherits, start, end)
}

// declarations tells whether the tag declares the default namespace, and
// whether an attribute has a prefix that was declared outside.
func (t *tag) declarations(s []byte) (declares, outside bool) {
	for i := range t.attrs {
		switch a := &t.attrs[i]; a.kind {
		case bindsAll:
			declares = true
		case prefixed:
			outside = outside || !t.binds(s, a.prefix(s))
		}
	}
	return declares, outside
}

// binds tells whether the tag itself declares the prefix.
func (t *tag) binds(s, prefix []byte) bool {
	for i := range t.attrs {
		if a := &t.attrs[i]; a.kind == binds && bytes.Equal(a.local(s), prefix) {
			return true
		}
	}
	return false
}

// rewrite writes the tag in canonical form.
func (d *Decoder) rewrite(s []byte, t *tag, f *frame, inherits bool, start, end int) {
	w := d.w
	w.cut(s, start, end)
	out := append(w.out, '<')
	out = append(out, t.local(s)...)
	if !inherits {
		out = AppendAttr(out, "xmlns", f.ns)
	}
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.kind == bindsAll || a.kind == binds {
			continue
		}
		if a.kind == prefixed && !t.usesBefore(s, i) {
			ns, _ := d.resolve(a.prefix(s))
			out = AppendAttr(out, "xmlns:"+string(a.prefix(s)), ns)
		}
		out = AppendAttr(out, string(a.name(s)), string(a.value(s)))
	}
	if t.empty {
		out = append(out, '/')
	}
	w.out = append(out, '>')
}

// usesBefore tells whether an attribute before the i-th has its prefix.
func (t *tag) usesBefore(s []byte, i int) bool {
	prefix := t.attrs[i].prefix(s)
	for j := range t.attrs[:i] {
		if b := &t.attrs[j]; b.kind == prefixed && bytes.Equal(b.prefix(s), prefix) {
			return true
		}
	}
	return false
}
