package settings

import (
	"reflect"
	"strings"
	"time"
)

// Entry describes one setting.
type Entry struct {
	Name    string   `json:"name"`              // c2s.stanza_bytes
	Type    string   `json:"type"`              // bool, int, size, duration, word, text, list
	Default string   `json:"default"`           // as people write it
	Unit    string   `json:"unit,omitempty"`    // bytes, per second …
	Min     string   `json:"min,omitempty"`     // smallest value, or fewest items of a list
	Max     string   `json:"max,omitempty"`     // largest value
	OneOf   []string `json:"one_of,omitempty"`  // allowed words
	Doc     string   `json:"doc"`               // the comment beside the field
	Section string   `json:"section,omitempty"` // the comment of the group it stands in
}

// field is one leaf of Settings.
type field struct {
	Entry
	index []int // for reflect.Value.FieldByIndex
	kind  kind
}

type kind uint8

const (
	kindBool kind = iota
	kindInt
	kindSize
	kindDuration
	kindText
	kindList
)

var kindNames = [...]string{kindBool: "bool", kindInt: "int", kindSize: "size", kindDuration: "duration", kindText: "text", kindList: "list"}

// fields is a constant in disguise: the leaves of Settings in the order they are declared.
var fields = leaves(reflect.TypeFor[Settings](), "", nil)

var fieldByName = func() map[string]*field {
	m := make(map[string]*field, len(fields))
	for i := range fields {
		m[fields[i].Name] = &fields[i]
	}
	return m
}()

func leaves(t reflect.Type, prefix string, index []int) []field {
	var all []field
	for f := range t.Fields() {
		name := prefix + f.Tag.Get("name")
		at := append(append([]int(nil), index...), f.Index...)
		if f.Type.Kind() == reflect.Struct {
			all = append(all, leaves(f.Type, name+".", at)...)
			continue
		}
		all = append(all, leaf(f, name, at))
	}
	return all
}

func leaf(f reflect.StructField, name string, index []int) field {
	l := field{index: index, kind: kindOf(f)}
	l.Entry = Entry{
		Name: name, Type: kindNames[l.kind], Default: f.Tag.Get("default"), Unit: f.Tag.Get("unit"),
		Min: f.Tag.Get("min"), Max: f.Tag.Get("max"), Doc: docs[name], Section: docs[section(name)],
	}
	if words := f.Tag.Get("oneof"); words != "" {
		l.OneOf = strings.Split(words, ",")
		if l.kind == kindText {
			l.Type = "word"
		}
	}
	return l
}

func section(name string) string {
	return name[:max(strings.LastIndexByte(name, '.'), 0)]
}

func kindOf(f reflect.StructField) kind {
	switch f.Type {
	case reflect.TypeFor[bool]():
		return kindBool
	case reflect.TypeFor[time.Duration]():
		return kindDuration
	case reflect.TypeFor[string]():
		return kindText
	case reflect.TypeFor[[]string]():
		return kindList
	case reflect.TypeFor[int]():
		if f.Tag.Get("unit") == "bytes" {
			return kindSize
		}
		return kindInt
	}
	panic("settings: field " + f.Name + " has a type nobody can write")
}

// Describe lists every setting in the order of the manual.
func Describe() []Entry {
	all := make([]Entry, len(fields))
	for i := range fields {
		all[i] = fields[i].Entry
	}
	return all
}
