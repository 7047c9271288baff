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
