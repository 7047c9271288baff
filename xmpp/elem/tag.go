package elem

import "bytes"

// attr is an attribute as it stands in the source; the numbers are offsets.
type attr struct {
	start, colon, nameEnd int32 // colon is -1 when there is no prefix
	val, end              int32 // between the quotes
	kind                  kind
	refs                  bool
	blanks                bool // white space that normalisation changes
}

// kind tells attributes apart.
type kind uint8

const (
	plain    kind = iota // a='…'
	prefixed             // p:a='…'
	byXML                // xml:a='…'
	bindsAll             // xmlns='…'
	binds                // xmlns:p='…'
)

// judge finds the kind of an attribute whose name is known.
func (a *attr) judge(s []byte) {
	switch {
	case a.colon < 0:
		if a.nameEnd-a.start == 5 && string(s[a.start:a.nameEnd]) == "xmlns" {
			a.kind = bindsAll
		}
	case string(s[a.start:a.colon]) == "xmlns":
		a.kind = binds
	case string(s[a.start:a.colon]) == "xml":
		a.kind = byXML
	default:
		a.kind = prefixed
	}
}

func (a *attr) name(s []byte) []byte { return s[a.start:a.nameEnd] }

func (a *attr) local(s []byte) []byte {
	if a.colon >= 0 {
		return s[a.colon+1 : a.nameEnd]
	}
	return s[a.start:a.nameEnd]
}

func (a *attr) prefix(s []byte) []byte { return s[a.start:a.colon] }

// value is the normalised value, a slice of the source where that is possible.
func (a *attr) value(s []byte) []byte {
	v := s[a.val:a.end]
	if a.refs || a.blanks {
		return unescape(make([]byte, 0, len(v)), v, true)
	}
	return v
}

// tag is a start tag as it stands in the source.
type tag struct {
	start, colon, nameEnd int32
	attrs                 []attr
	limit                 int // of attributes
	empty                 bool
	blanks                bool // some attribute has them
	spaces                bool // some attribute is not plain
}

func (t *tag) local(s []byte) []byte {
	if t.colon >= 0 {
		return s[t.colon+1 : t.nameEnd]
	}
	return s[t.start:t.nameEnd]
}

// scan reads the start tag whose '<' is at s[i].
func (t *tag) scan(s []byte, i int) (end int, err error) {
	colon, end, err := qname(s, i+1)
	if err != nil {
		return 0, err
	}
	t.start, t.colon, t.nameEnd = int32(i+1), int32(colon), int32(end)
	return t.scanAttrs(s, end)
}

// scanAttrs reads from the end of the name to the end of the tag.
func (t *tag) scanAttrs(s []byte, i int) (end int, err error) {
	t.attrs, t.empty, t.blanks, t.spaces = t.attrs[:0], false, false, false
	for {
		before := i
		i = skipSpace(s, i)
		if i == len(s) {
			return 0, ErrMore
		}
		switch s[i] {
		case '>':
			return i + 1, t.distinct(s)
		case '/':
			if i+1 == len(s) {
				return 0, ErrMore
			}
			if s[i+1] != '>' {
				return 0, notWellFormed("bad tag")
			}
			t.empty = true
			return i + 2, t.distinct(s)
		}
		if i == before {
			return 0, notWellFormed("no white space before attribute")
		}
		if len(t.attrs) >= t.limit {
			return 0, tooMuch("too many attributes")
		}
		t.attrs = append(t.attrs, attr{})
		a := &t.attrs[len(t.attrs)-1]
		if i, err = a.scan(s, i); err != nil {
			return 0, err
		}
		t.blanks = t.blanks || a.blanks
		t.spaces = t.spaces || a.kind != plain
	}
}

// distinct refuses two attributes of one name.
func (t *tag) distinct(s []byte) error {
	for i := 1; i < len(t.attrs); i++ {
		a := t.attrs[i].name(s)
		for j := range t.attrs[:i] {
			if bytes.Equal(a, t.attrs[j].name(s)) {
				return notWellFormed("attribute is there twice")
			}
		}
	}
	return nil
}

func (a *attr) scan(s []byte, i int) (end int, err error) {
	colon, end, err := qname(s, i)
	if err != nil {
		return 0, err
	}
	a.start, a.colon, a.nameEnd = int32(i), int32(colon), int32(end)
	a.judge(s)
	i = skipSpace(s, end)
	if i == len(s) {
		return 0, ErrMore
	}
	if s[i] != '=' {
		return 0, notWellFormed("attribute without value")
	}
	i = skipSpace(s, i+1)
	if i == len(s) {
		return 0, ErrMore
	}
	quote := s[i]
	if quote != '\'' && quote != '"' {
		return 0, notWellFormed("attribute without quotes")
	}
	i++
	a.val = int32(i)
	for i < len(s) {
		c := s[i]
		if class[c]&valueStop == 0 {
			i++
			continue
		}
		switch {
		case c == quote:
			a.end = int32(i)
			return i + 1, nil
		case c == '\'' || c == '"':
			i++
		case c == '&':
			if _, i, err = reference(s, i); err != nil {
				return 0, err
			}
			a.refs = true
		case class[c]&space != 0:
			a.blanks = true
			i++
		case c == '<':
			return 0, notWellFormed("'<' in attribute")
		default:
			if c < ' ' {
				return 0, notWellFormed("character is not allowed in XML")
			}
			_, n, err := char(s, i)
			if err != nil {
				return 0, err
			}
			i += n
		}
	}
	return 0, ErrMore
}
