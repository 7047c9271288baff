package elem

import "bytes"

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

// cut leaves out the source from start to end: what is appended to out next
// stands in its place.
func (w *work) cut(s []byte, start, end int) {
	w.out = append(w.out, s[w.done:start]...)
	w.done = end
}

// at is where the source at pos stands in canonical form.
func (w *work) at(pos int) int { return len(w.out) + pos - w.done }

// bounded keeps re-serialising from blowing up what the peer sent: prefixes
// that stand for long namespaces, escapes. Ordinary stanzas grow by a few
// declarations.
func (w *work) bounded() error {
	if len(w.out) > 4<<10+2*w.pos {
		return tooMuch("element grows when it is made canonical")
	}
	return nil
}
