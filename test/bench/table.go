package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// markdown is the table of what was measured: medians, and how many runs they
// are of.
func (b *bench) markdown() string {
	var out strings.Builder
	out.WriteString("| work |")
	for _, name := range b.servers {
		out.WriteString(" " + name + " |")
	}
	out.WriteString("\n|---|" + strings.Repeat("---|", len(b.servers)) + "\n")
	for _, f := range figures {
		var cells []string
		some := false
		for _, name := range b.servers {
			c := b.cell(f, name)
			some = some || c != ""
			cells = append(cells, c)
		}
		if some {
			out.WriteString("| " + f.name + " | " + strings.Join(cells, " | ") + " |\n")
		}
	}
	return out.String()
}

func (b *bench) cell(f figure, name string) string {
	text, err := os.ReadFile(b.results(f, name))
	if err != nil {
		return ""
	}
	runs := 0
	values := map[string][]float64{}
	for line := range bytes.Lines(text) {
		var r map[string]any
		if json.Unmarshal(line, &r) != nil {
			continue
		}
		runs++
		for k, v := range r {
			if x, ok := v.(float64); ok {
				values[k] = append(values[k], x)
			}
		}
	}
	var parts []string
	for _, n := range f.shows {
		if v := values[n.field]; len(v) > 0 {
			parts = append(parts, fmt.Sprintf(n.format, median(v)*n.factor))
		}
	}
	if f.archive != nil {
		parts = append(parts, "on "+map[string]string{"on": "SQLite", "sqlite": "SQLite", "internal": "files", "mnesia": "mnesia"}[f.archive[name]])
	}
	if runs != 0 && b.reps != runs {
		parts = append(parts, fmt.Sprintf("(%d runs)", runs))
	}
	return strings.Join(parts, ", ")
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}
