package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Entry describes one key of the file.
type Entry struct {
	Name    string   `json:"name"`             // listener.address
	Type    string   `json:"type"`             // text, bool, list, table, tables
	Default string   `json:"default"`          // as written in the file, without quotes
	OneOf   []string `json:"one_of,omitempty"` // allowed words
	Doc     string   `json:"doc"`              // the comment beside the field
}

// Describe lists every key in the order of the manual; a table stands before its keys.
func Describe() []Entry { return entries("", reflect.TypeFor[Config]()) }

func entries(path string, t reflect.Type) []Entry {
	var all []Entry
	for f := range t.Fields() {
		key := f.Tag.Get("toml")
		if key == "-" {
			continue
		}
		e := Entry{Name: join(path, key), Default: f.Tag.Get("default")}
		e.Doc = docs[e.Name]
		if words := f.Tag.Get("oneof"); words != "" {
			e.OneOf = strings.Split(words, ",")
		}
		var below reflect.Type
		e.Type, below = typeName(f.Type)
		all = append(all, e)
		if below != nil {
			all = append(all, entries(e.Name, below)...)
		}
	}
	return all
}

// typeName is how people call a type, and the struct below it if it has one.
func typeName(t reflect.Type) (name string, below reflect.Type) {
	switch {
	case t.Kind() == reflect.Struct:
		return "table", t
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "tables", t.Elem()
	case t.Kind() == reflect.Slice:
		return "list", nil
	case t.Kind() == reflect.Bool:
		return "bool", nil
	}
	return "text", nil
}

// Sample is a chancery.toml with every key at its default, commented out, under its manual.
func Sample() string {
	b := new(strings.Builder)
	b.WriteString("# Configuration of Chancery. Every key may be left out; what stands after # is its default.\n" +
		"# Everything that is not here is a live setting: chancery setting list\n")
	for _, e := range Describe() {
		b.WriteByte('\n')
		comment(b, e)
		key := e.Name[strings.LastIndexByte(e.Name, '.')+1:]
		switch e.Type {
		case "table":
			fmt.Fprintf(b, "[%s]\n", e.Name)
		case "tables":
			fmt.Fprintf(b, "#[[%s]]\n", e.Name)
		case "bool":
			fmt.Fprintf(b, "#%s = %s\n", key, e.Default)
		case "list":
			fmt.Fprintf(b, "#%s = []\n", key)
		default:
			fmt.Fprintf(b, "#%s = %q\n", key, e.Default)
		}
	}
	return b.String()
}

func comment(b *strings.Builder, e Entry) {
	for line := range strings.SplitSeq(strings.TrimSpace(e.Doc), "\n") {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	if len(e.OneOf) > 0 {
		b.WriteString("# One of: " + strings.Join(e.OneOf, ", ") + ".\n")
	}
}
