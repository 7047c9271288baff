package elem

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// What a byte may mean. Bytes from 0x80 are decoded before they are judged.
const (
	nameStart   = 1 << iota // ASCII that may begin a name; the colon is apart
	nameByte                // ASCII that may go on in a name
	space                   // XML white space
	textStop                // not plain text as it is read
	valueStop               // not plain attribute value as it is read
	special                 // must be escaped in text that we write
	specialAttr             // must be escaped in attributes that we write
)

var class = func() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		switch {
		case c >= utf8.RuneSelf:
			t[c] = textStop | valueStop | special | specialAttr
		case c == '\t' || c == '\n':
			t[c] = space | valueStop | specialAttr
		case c == '\r':
			t[c] = space | textStop | valueStop | special | specialAttr
		case c == ' ':
			t[c] = space
		case c < ' ':
			t[c] = textStop | valueStop | special | specialAttr
		case c == '<' || c == '&':
			t[c] = textStop | valueStop | special | specialAttr
		case c == '>':
			t[c] = special
		case c == ']':
			t[c] = textStop
		case c == '\'':
			t[c] = valueStop | specialAttr
		case c == '"':
			t[c] = valueStop
		case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			t[c] = nameStart | nameByte
		case c == '-', c == '.', '0' <= c && c <= '9':
			t[c] = nameByte
		}
	}
	return t
}()

// isChar is the production Char of XML 1.0.
func isChar(r rune) bool {
	switch {
	case r < ' ':
		return r == '\t' || r == '\n' || r == '\r'
	case r <= 0xD7FF:
		return true
	case r < 0xE000:
		return false
	}
	return r <= 0xFFFD || r >= 0x10000 && r <= unicode.MaxRune
}

// char reads one character beyond ASCII.
func char(s []byte, i int) (r rune, size int, err error) {
	r, size = utf8.DecodeRune(s[i:])
	if r == utf8.RuneError && size <= 1 {
		if !utf8.FullRune(s[i:]) {
			return 0, 0, ErrMore
		}
		return 0, 0, notWellFormed("bytes are not UTF-8")
	}
	if !isChar(r) {
		return 0, 0, notWellFormed("character is not allowed in XML")
	}
	return r, size, nil
}

// plainText gives the index of the first byte that is not plain text.
//
// HOT: most bytes of most stanzas pass through here, eight at a time, which
// takes 0.33 µs for 1 KiB; the loop by bytes takes 0.88 µs.
func plainText(s []byte, i int) int {
	for {
		for i+8 <= len(s) && !stops(binary.LittleEndian.Uint64(s[i:])) {
			i += 8
		}
		end := min(i+8, len(s))
		for i < end && class[s[i]]&textStop == 0 {
			i++
		}
		if i < end || i == len(s) {
			return i
		}
	}
}

// stops tells whether one of eight bytes is textStop, or a tab or line feed,
// which the caller looks at one by one. It is the usual arithmetic: a byte is
// less than n if subtracting n borrows from its highest bit.
func stops(x uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	amp, lt, bracket := x^('&'*ones), x^('<'*ones), x^(']'*ones)
	return (x|(x-' '*ones)|(amp-ones)&^amp|(lt-ones)&^lt|(bracket-ones)&^bracket)&highs != 0
}

// beyondASCII gives the index of the first ASCII byte from i on. The common
// scripts take the short way: every sequence of two bytes, and of three but
// for those that may be too long, surrogates, or U+FFFE and U+FFFF.
func beyondASCII(s []byte, i int) (int, error) {
	for i < len(s) && s[i] >= utf8.RuneSelf {
		switch c := s[i]; {
		case 0xC2 <= c && c <= 0xDF && i+1 < len(s) && s[i+1]&0xC0 == 0x80:
			i += 2
		case 0xE1 <= c && c <= 0xEE && c != 0xED && i+2 < len(s) && s[i+1]&0xC0 == 0x80 && s[i+2]&0xC0 == 0x80:
			i += 3
		default:
			_, n, err := char(s, i)
			if err != nil {
				return i, err
			}
			i += n
		}
	}
	return i, nil
}

// qname reads a name with at most one colon, not at its ends; colon is -1
// when there is none.
func qname(s []byte, i int) (colon, end int, err error) {
	colon = -1
	for first := true; ; first = false {
		if i == len(s) {
			return 0, 0, ErrMore
		}
		c := s[i]
		switch {
		case class[c]&nameStart != 0 || !first && class[c]&nameByte != 0:
			i++
			// HOT: the rest of an ASCII name in a tight loop.
			for i < len(s) && class[s[i]]&nameByte != 0 {
				i++
			}
		case c == ':' && !first && colon < 0:
			colon = i
			i++
			if i == len(s) {
				return 0, 0, ErrMore
			}
			if class[s[i]]&nameStart == 0 && s[i] < utf8.RuneSelf {
				return 0, 0, notWellFormed("bad name")
			}
			if s[i] >= utf8.RuneSelf {
				n, err := nameRune(s, i, true)
				if err != nil {
					return 0, 0, err
				}
				i += n
			}
		case c >= utf8.RuneSelf:
			n, err := nameRune(s, i, first)
			if err != nil {
				return 0, 0, err
			}
			i += n
		case first || c == ':':
			return 0, 0, notWellFormed("bad name")
		default:
			return colon, i, nil
		}
	}
}

// nameRune reads a character beyond ASCII within a name. The names of the
// fourth edition of XML 1.0 are legal in the fifth too, while many parsers
// refuse the additional ones of the fifth: a stanza with such a name would end
// the stream of whoever gets it.
func nameRune(s []byte, i int, first bool) (int, error) {
	r, n, err := char(s, i)
	if err != nil {
		return 0, err
	}
	if unicode.Is(letters, r) || !first && unicode.Is(nameExtras, r) {
		return n, nil
	}
	return 0, notWellFormed("bad name")
}

// skipSpace gives the index of the first byte that is no white space.
func skipSpace(s []byte, i int) int {
	for i < len(s) && class[s[i]]&space != 0 {
		i++
	}
	return i
}

// maxReference bounds the digits of a character reference and the name of an
// entity. Legal ones are shorter, but for needless zeros.
const maxReference = 16

// reference reads &...; at s[i].
func reference(s []byte, i int) (r rune, end int, err error) {
	i++
	if i < len(s) && s[i] == '#' {
		return charReference(s, i+1)
	}
	start := i
	for i < len(s) && (class[s[i]]&nameByte != 0 || s[i] >= utf8.RuneSelf || s[i] == ':') && i-start <= maxReference {
		i++
	}
	switch {
	case i-start > maxReference:
		return 0, 0, restricted("entity")
	case i == len(s):
		return 0, 0, ErrMore
	case i == start || s[i] != ';':
		return 0, 0, notWellFormed("bad reference")
	}
	switch string(s[start:i]) {
	case "amp":
		return '&', i + 1, nil
	case "lt":
		return '<', i + 1, nil
	case "gt":
		return '>', i + 1, nil
	case "quot":
		return '"', i + 1, nil
	case "apos":
		return '\'', i + 1, nil
	}
	return 0, 0, restricted("entity")
}

func charReference(s []byte, i int) (r rune, end int, err error) {
	base := rune(10)
	if i < len(s) && s[i] == 'x' {
		base = 16
		i++
	}
	start := i
	for ; i < len(s); i++ {
		d := digit(s[i])
		if d >= base {
			break
		}
		if r = r*base + d; r > unicode.MaxRune || i-start >= maxReference {
			return 0, 0, notWellFormed("bad character reference")
		}
	}
	switch {
	case i == len(s):
		return 0, 0, ErrMore
	case i == start || s[i] != ';' || !isChar(r):
		return 0, 0, notWellFormed("bad character reference")
	}
	return r, i + 1, nil
}

func digit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return 99
}

// unescape appends text that was checked before, with its references
// resolved. In an attribute value white space becomes spaces (XML 1.0 §3.3.3).
func unescape(dst, s []byte, value bool) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '&':
			r, end, err := reference(s, i)
			if err != nil {
				return append(dst, s[i:]...)
			}
			dst = utf8.AppendRune(dst, r)
			i = end
			continue
		case c == '\r' && !value:
			if i+1 == len(s) || s[i+1] != '\n' {
				dst = append(dst, '\n')
			}
			i++
			continue
		case value && c == '\r' && i+1 < len(s) && s[i+1] == '\n':
			i++
			continue
		case value && class[c]&space != 0:
			c = ' '
		}
		dst = append(dst, c)
		i++
	}
	return dst
}
