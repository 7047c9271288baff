package elem

import "unicode/utf8"

// AppendText appends character data. What XML cannot express at all becomes
// U+FFFD, so that the result is always well-formed.
func AppendText(dst []byte, text string) []byte { return appendEscaped(dst, text, special) }

// AppendAttr appends an attribute with a space before it. The name is trusted.
func AppendAttr(dst []byte, name, value string) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, "='"...)
	dst = appendEscaped(dst, value, specialAttr)
	return append(dst, '\'')
}

func appendEscaped(dst []byte, s string, mask uint8) []byte {
	done := 0
	for i := 0; i < len(s); {
		if class[s[i]]&mask == 0 {
			i++
			continue
		}
		if s[i] >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if isChar(r) && (r != utf8.RuneError || n > 1) {
				i += n
				continue
			}
			dst = append(dst, s[done:i]...)
			dst = append(dst, "\uFFFD"...)
			i += n
		} else {
			dst = append(dst, s[done:i]...)
			dst = append(dst, escapeOf(s[i])...)
			i++
		}
		done = i
	}
	return append(dst, s[done:]...)
}

// escapeOf is how a special ASCII byte is written.
func escapeOf(c byte) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '\'':
		return "&apos;"
	case '\t':
		return "&#x9;"
	case '\n':
		return "&#xA;"
	case '\r':
		return "&#xD;"
	}
	return "\uFFFD"
}
