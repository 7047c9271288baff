package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults is the set a new server starts with.
func Defaults() *Settings {
	s := new(Settings)
	for i := range fields {
		f := &fields[i]
		if f.Default == "" {
			continue
		}
		v, err := f.parse(f.Default)
		if err != nil {
			panic("settings: default of " + f.Name + ": " + err.Error())
		}
		f.set(s, v)
	}
	return s
}

func (f *field) set(s *Settings, v any) {
	reflect.ValueOf(s).Elem().FieldByIndex(f.index).Set(reflect.ValueOf(v))
}

func (f *field) get(s *Settings) any {
	return reflect.ValueOf(s).Elem().FieldByIndex(f.index).Interface()
}

// parse reads a value as people write it. The error says what is wrong and what would be right.
func (f *field) parse(text string) (any, error) {
	text = strings.TrimSpace(text)
	switch f.kind {
	case kindBool:
		switch text {
		case "true", "on", "yes":
			return true, nil
		case "false", "off", "no":
			return false, nil
		}
		return nil, fmt.Errorf("%q is neither true nor false", text)
	case kindInt:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		return n, f.within(int64(n), parseInt)
	case kindSize:
		n, err := ParseSize(text)
		if err != nil {
			return nil, err
		}
		return n, f.within(int64(n), parseSize)
	case kindDuration:
		d, err := parseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a length of time; write 30s, 5m or 24h", text)
		}
		return time.Duration(d), f.within(d, parseDuration)
	case kindText:
		return text, f.word(text)
	default:
		return f.parseList(text)
	}
}

func (f *field) parseList(text string) (any, error) {
	list := []string{}
	if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return nil, errors.New(`write a list as ["one","two"] or one,two`)
		}
	} else if text != "" {
		list = strings.Split(text, ",")
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
		if list[i] == "" {
			return nil, errors.New("an item of the list is empty")
		}
		if err := f.word(list[i]); err != nil {
			return nil, err
		}
		if slices.Contains(list[:i], list[i]) {
			return nil, fmt.Errorf("%q stands in the list twice", list[i])
		}
	}
	if least, err := strconv.Atoi(f.Min); err == nil && len(list) < least {
		return nil, fmt.Errorf("the list needs at least %d item", least)
	}
	return list, nil
}

// maxText bounds every text and every item of a list.
const maxText = 1023

func (f *field) word(w string) error {
	if len(w) > maxText {
		return fmt.Errorf("longer than %d bytes", maxText)
	}
	if strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return errors.New("control characters are not allowed")
	}
	if len(f.OneOf) > 0 && !slices.Contains(f.OneOf, w) {
		return fmt.Errorf("%q is none of %s", w, strings.Join(f.OneOf, ", "))
	}
	return nil
}

func (f *field) within(n int64, parse func(string) (int64, error)) error {
	low, high := int64(0), int64(math.MaxInt64)
	if v, err := parse(f.Min); err == nil {
		low = v
	}
	if v, err := parse(f.Max); err == nil {
		high = v
	}
	switch {
	case n < low && f.Min == "":
		return errors.New("must not be negative")
	case n < low:
		return fmt.Errorf("less than %s", f.Min)
	case n > high:
		return fmt.Errorf("more than %s", f.Max)
	}
	return nil
}

func parseInt(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

func parseSize(s string) (int64, error) {
	n, err := ParseSize(s)
	return int64(n), err
}

func parseDuration(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	return int64(d), err
}

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

// ParseSize reads 262144, 256KiB, 1MiB, 2GiB.
func ParseSize(text string) (int, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n > math.MaxInt64/u.bytes || n < 0 {
			break
		}
		return int(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is not a size; write 4096, 16KiB, 1MiB or 2GiB", text)
}

// FormatSize is the inverse of ParseSize: the largest unit that loses nothing.
func FormatSize(n int) string {
	for _, u := range sizeUnits {
		if n != 0 && int64(n)%u.bytes == 0 && u.bytes > 1 {
			return strconv.FormatInt(int64(n)/u.bytes, 10) + u.name
		}
	}
	return strconv.Itoa(n)
}

// FormatDuration writes 5m0s as 5m.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// format writes a value as people write it; parse reads it back.
func (f *field) format(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return FormatDuration(v)
	case int:
		if f.kind == kindSize {
			return FormatSize(v)
		}
		return strconv.Itoa(v)
	case []string:
		joined := strings.Join(v, ",")
		if strings.Count(joined, ",") == max(len(v)-1, 0) && !strings.HasPrefix(joined, "[") && !strings.HasPrefix(joined, `"`) {
			return joined
		}
		return f.encode(v)
	case string:
		if strings.HasPrefix(v, `"`) {
			return f.encode(v)
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// encode is the JSON text kept in the table.
func (f *field) encode(v any) string {
	switch f.kind {
	case kindBool, kindInt:
		return f.format(v)
	case kindList:
		b, _ := json.Marshal(v)
		return string(b)
	case kindText:
		b, _ := json.Marshal(v)
		return string(b)
	default:
		return `"` + f.format(v) + `"`
	}
}

// decode reads what encode wrote, and also the bare text that people type.
func (f *field) decode(text string) (any, error) {
	if strings.HasPrefix(text, `"`) {
		var s string
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return nil, errors.New("a quoted value must be JSON")
		}
		text = s
	}
	return f.parse(text)
}
