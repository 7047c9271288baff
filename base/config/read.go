package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// reader copies what the TOML parser found into the structs, and notes everything that does not fit, instead of stopping at
// the first. Keys are known by their path: `log.level`, `listener.0.address`.
type reader struct {
	file     string
	at       map[string]unstable.Position
	problems Problems
}

func (r *reader) wrong(path, format string, args ...any) {
	p := r.at[path]
	r.problems = append(r.problems, Problem{r.file, max(p.Line, 1), max(p.Column, 1), fmt.Sprintf(format, args...)})
}

// table reads one table into a struct.
func (r *reader) table(path string, tree map[string]any, into reflect.Value) {
	known := keys(into.Type())
	for key, value := range tree {
		at := join(path, key)
		f, ok := fieldByKey(into.Type(), key)
		if !ok {
			r.wrong(at, "unknown key %q%s", spoken(at), suggestion(key, known))
			continue
		}
		r.value(at, value, into.FieldByIndex(f.Index), f)
	}
}

func (r *reader) value(path string, value any, into reflect.Value, f reflect.StructField) {
	switch into.Interface().(type) {
	case string:
		if s, ok := value.(string); ok {
			into.SetString(s)
			r.word(path, s, f)
			return
		}
		r.wrong(path, "%s must be text in quotes, not %s", spoken(path), kindName(value))
	case bool:
		if b, ok := value.(bool); ok {
			into.SetBool(b)
			return
		}
		r.wrong(path, "%s must be true or false, not %s", spoken(path), kindName(value))
	case []string:
		r.list(path, value, into)
	default:
		r.nested(path, value, into)
	}
}

func (r *reader) word(path, s string, f reflect.StructField) {
	if words := f.Tag.Get("oneof"); words != "" && s != "" && !slices.Contains(strings.Split(words, ","), s) {
		r.wrong(path, "%s is %q; it must be one of %s", spoken(path), s, strings.ReplaceAll(words, ",", ", "))
	}
}

func (r *reader) list(path string, value any, into reflect.Value) {
	items, ok := value.([]any)
	if !ok {
		r.wrong(path, `%s must be a list such as ["one", "two"], not %s`, spoken(path), kindName(value))
		return
	}
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			r.wrong(path, "every item of %s must be text in quotes, not %s", spoken(path), kindName(item))
			continue
		}
		into.Set(reflect.Append(into, reflect.ValueOf(s)))
	}
}

// nested reads [log] into a struct and each [[listener]] into a new element of a slice.
func (r *reader) nested(path string, value any, into reflect.Value) {
	if into.Kind() == reflect.Struct {
		if t, ok := value.(map[string]any); ok {
			r.table(path, t, into)
			return
		}
		r.wrong(path, "%s must be a table: write [%s] on a line of its own", spoken(path), path)
		return
	}
	items, ok := value.([]any)
	if !ok {
		r.wrong(path, "write [[%s]], with two brackets: there may be several", path)
		return
	}
	for i, item := range items {
		element := reflect.New(into.Type().Elem()).Elem()
		if t, ok := item.(map[string]any); ok {
			r.table(join(path, fmt.Sprint(i)), t, element)
		} else {
			r.wrong(path, "each %s must be a table: write [[%s]] on a line of its own", path, path)
		}
		into.Set(reflect.Append(into, element))
	}
}

func structOf(c *Config) reflect.Value { return reflect.ValueOf(c).Elem() }

// keys lists the keys a struct can hold, in the order of the manual.
func keys(t reflect.Type) []string {
	var all []string
	for f := range t.Fields() {
		if key := f.Tag.Get("toml"); key != "-" {
			all = append(all, key)
		}
	}
	return all
}

func fieldByKey(t reflect.Type, key string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if f.Tag.Get("toml") == key && key != "-" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// setDefaults fills the zero fields of c from their tags.
func setDefaults(c *Config) { defaultsOf(structOf(c)) }

func defaultsOf(v reflect.Value) {
	for f, field := range v.Fields() {
		switch {
		case field.Kind() == reflect.Struct:
			defaultsOf(field)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			for i := range field.Len() {
				defaultsOf(field.Index(i))
			}
		case field.Kind() == reflect.String && field.String() == "":
			field.SetString(f.Tag.Get("default"))
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// spoken is a path as people count: listener.0.mode is the mode of listener 1.
func spoken(path string) string {
	parts := strings.Split(path, ".")
	for i, p := range parts {
		var n int
		if _, err := fmt.Sscanf(p, "%d", &n); err == nil && i > 0 && fmt.Sprint(n) == p {
			parts[i] = fmt.Sprint(n + 1)
		}
	}
	return strings.Join(parts, ".")
}

func kindName(value any) string {
	switch value.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date"
	}
}

// suggestion finds the key that was meant.
func suggestion(key string, known []string) string {
	for _, k := range known {
		if distance(key, k) <= max(1, len(k)/3) {
			return fmt.Sprintf("; did you mean %q?", k)
		}
	}
	return "; known are " + strings.Join(known, ", ")
}

// distance counts the letters to insert, delete or replace between a and b.
func distance(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
