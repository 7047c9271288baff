// Package transcript plays conversations against the real server in memory and compares what comes with what the
// specifications say. scripts/README.md is the manual of the language.
package transcript

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// Script is one transcript: the conversation that proves one rule.
type Script struct {
	File  string // as messages name it
	Title string // the first comment: the rule, and where it stands
	Steps []Step
}

// Step is one line, with the lines that continue it.
type Step struct {
	Line int
	Who  string // the party that acts; "" for steps about the whole stage
	Verb string
	Arg  string
}

func (s Step) String() string {
	return strings.TrimSpace(s.Who + " " + s.Verb + " " + firstLine(s.Arg))
}

func firstLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if more {
		line += " …"
	}
	return line
}

// Open reads and parses a script.
func Open(files fs.FS, name string) (*Script, error) {
	b, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	return Parse(name, string(b))
}

// Parse reads a script. Every line that begins with white space continues the line before it; '#' begins a comment only
// at the beginning of a line.
func Parse(file, text string) (*Script, error) {
	s := &Script{File: file}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "":
		case line[0] == '#':
			if s.Title == "" {
				s.Title = strings.TrimSpace(line[1:])
			}
		case line[0] == ' ' || line[0] == '\t':
			if len(s.Steps) == 0 {
				return nil, fmt.Errorf("%s:%d: nothing to continue", file, i+1)
			}
			last := &s.Steps[len(s.Steps)-1]
			last.Arg = strings.TrimLeft(last.Arg+"\n"+strings.TrimSpace(line), "\n")
		default:
			st, err := parseStep(strings.TrimSpace(line))
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
			}
			st.Line = i + 1
			s.Steps = append(s.Steps, st)
		}
	}
	if s.Title == "" {
		return nil, fmt.Errorf("%s:1: a script begins with a comment that says what is true, and which specification says so", file)
	}
	return s, nil
}

// parseStep finds out who does what. Longer verbs stand before the shorter ones they begin with.
func parseStep(line string) (Step, error) {
	for _, v := range stageVerbs {
		if arg, ok := cutVerb(line, v.phrase); ok {
			return Step{Verb: v.phrase, Arg: arg}, nil
		}
	}
	who, rest, _ := strings.Cut(line, " ")
	if !partyName.MatchString(who) {
		return Step{}, fmt.Errorf("%q is no name of a party", who)
	}
	for _, v := range partyVerbs {
		if arg, ok := cutVerb(strings.TrimSpace(rest), v.phrase); ok {
			return Step{Who: who, Verb: v.phrase, Arg: arg}, nil
		}
	}
	return Step{}, fmt.Errorf("nobody knows how to do %q", rest)
}

var partyName = regexp.MustCompile(`^[\p{L}\d][\p{L}\d._@-]*(/.*)?$`)

func cutVerb(line, phrase string) (arg string, ok bool) {
	rest, ok := strings.CutPrefix(line, phrase)
	if !ok || (rest != "" && rest[0] != ' ' && rest[0] != ',' && rest[0] != ':') {
		return "", false
	}
	return strings.TrimSpace(strings.TrimLeft(rest, " ,:")), true
}
