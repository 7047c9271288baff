package config

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// positions finds where each key of a valid document stands. The TOML decoder knows this only for its own errors.
func positions(text []byte) map[string]unstable.Position {
	w := walker{at: map[string]unstable.Position{}, count: map[string]int{}}
	w.parser.Reset(text)
	for w.parser.NextExpression() {
		switch e := w.parser.Expression(); e.Kind {
		case unstable.Table:
			w.here = w.key(w.enter(""), e)
		case unstable.ArrayTable:
			w.here = w.element(e)
		case unstable.KeyValue:
			w.keyValue(w.here, e)
		}
	}
	return w.at
}

type walker struct {
	parser unstable.Parser
	here   string         // the table that the last header opened
	count  map[string]int // elements seen of each array of tables
	at     map[string]unstable.Position
}

// key notes and returns the path of the (dotted) key of n, which lies in the table path.
func (w *walker) key(path string, n *unstable.Node) string {
	for it := n.Key(); it.Next(); {
		path = join(w.enter(path), string(it.Node().Data))
		if _, seen := w.at[path]; !seen {
			w.at[path] = w.parser.Shape(it.Node().Raw).Start
		}
	}
	return w.enter(path)
}

// element is the path of the element that [[n]] begins.
func (w *walker) element(n *unstable.Node) string {
	path := ""
	var last *unstable.Node
	for it := n.Key(); it.Next(); {
		last = it.Node()
		path = join(w.enter(path), string(last.Data))
	}
	if _, seen := w.at[path]; !seen {
		w.at[path] = w.parser.Shape(last.Raw).Start
	}
	w.count[path]++
	path = w.enter(path)
	w.at[path] = w.parser.Shape(last.Raw).Start
	return path
}

// enter goes from an array of tables to its latest element, as TOML does.
func (w *walker) enter(path string) string {
	if n := w.count[path]; n > 0 {
		return join(path, fmt.Sprint(n-1))
	}
	return path
}

func (w *walker) keyValue(path string, n *unstable.Node) {
	path = w.key(path, n)
	switch v := n.Value(); v.Kind {
	case unstable.InlineTable:
		w.inline(path, v)
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			if it.Node().Kind == unstable.InlineTable {
				element := join(path, fmt.Sprint(i))
				w.at[element] = w.at[path]
				w.inline(element, it.Node())
			}
		}
	}
}

func (w *walker) inline(path string, table *unstable.Node) {
	for it := table.Children(); it.Next(); {
		if it.Node().Kind == unstable.KeyValue {
			w.keyValue(path, it.Node())
		}
	}
}
