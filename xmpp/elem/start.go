package elem

import "bytes"

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
// whose names are the same once prefixes are resolved. Each prefix is resolved
// once: with the bounds of Limits for both, comparing all with all is cheap
// and resolving all for all is not.
func (d *Decoder) distinctExpanded(s []byte, t *tag) error {
	w := d.w
	w.uris = w.uris[:0]
	for i := range t.attrs {
		a := &t.attrs[i]
		uri := ""
		if a.kind == prefixed {
			var ok bool
			if uri, ok = d.resolve(a.prefix(s)); !ok {
				return notWellFormed("prefix is not declared")
			}
			for j, other := range w.uris {
				if other == uri && bytes.Equal(a.local(s), t.attrs[j].local(s)) {
					return notWellFormed("attribute is there twice")
				}
			}
		}
		w.uris = append(w.uris, uri)
	}
	return nil
}
