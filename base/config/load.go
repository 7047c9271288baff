package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Problem is one thing that is wrong in a file, and where.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1
	Column int    `json:"column"` // from 1, in bytes
	Text   string `json:"text"`
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Problems is everything that is wrong in a file, in the order of its lines.
type Problems []Problem

// Error has one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Load reads and checks a file. The error is a Problems when the file could be read but is wrong.
func Load(path string) (*Config, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no configuration file %s; `chancery quickstart` writes one", path)
	case err != nil:
		return nil, fmt.Errorf("reading the configuration: %w", err)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is larger than %d bytes: this is not a configuration file of Chancery", path, maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, text)
}

// Parse checks the text of a file. Its name is used in messages, and its folder is where relative paths start.
func Parse(name string, text []byte) (*Config, error) {
	tree := map[string]any{}
	if err := toml.Unmarshal(text, &tree); err != nil {
		return nil, Problems{syntaxProblem(name, err)}
	}
	c := &Config{File: name}
	r := reader{file: name, at: positions(text)}
	r.table("", tree, structOf(c))
	r.check(c)
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, r.problems
	}
	c.complete(filepath.Dir(name))
	return c, nil
}

func syntaxProblem(name string, err error) Problem {
	p := Problem{File: name, Line: 1, Column: 1, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		p.Line, p.Column = at.Position()
	}
	return p
}
