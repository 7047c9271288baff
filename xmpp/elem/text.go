package elem

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
