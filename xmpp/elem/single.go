package elem

// ParseElement reads one element that stands alone, as a row of the database
// or a WebSocket frame (RFC 7395 §3.3): content is the default namespace
// around it. Everything is checked as on a stream. The element refers to b.
func ParseElement(b []byte, content string, l Limits) (*Element, error) {
	d := Decoder{content: content, limits: l.withDefaults(), state: open, def: content}
	w := works.Get().(*work)
	defer w.release()
	buf := w.buf
	defer func() { w.buf = buf }()
	w.buf, w.r, w.n = b, 0, len(b)
	d.w = w
	ev, err := d.Next()
	switch {
	case err == ErrMore, err == nil && ev != TopElement:
		return nil, notWellFormed("no complete element")
	case err != nil:
		return nil, err
	case skipSpace(b, w.r) != len(b):
		return nil, notWellFormed("text after the element")
	}
	e := d.elem
	e.attrs = append([]attr(nil), e.attrs...)
	return &e, nil
}
