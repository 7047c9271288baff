// Package arch says who stepped over: imports go down, never up or sideways (docs/architecture.md), and a few habits
// that a compiler does not know.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "chancery/"

// layers from the top. A package imports packages of layers below its own, and of its own folder. Features and edges
// stand side by side and know nothing of each other. test and tools may see everything and are seen by nobody.
var layers = [][]string{{"cmd"}, {"app"}, {"admin"}, {"edge", "feature", "probe"}, {"core"}, {"trust"}, {"store", "cluster"}, {"xmpp"}, {"base"}}

// strangers are folders whose packages do not know each other.
var strangers = []string{"feature", "cmd"}

func layer(pkg string) int {
	top, _, _ := strings.Cut(pkg, "/")
	return slices.IndexFunc(layers, func(names []string) bool { return slices.Contains(names, top) })
}

func TestImportsGoDown(t *testing.T) {
	eachFile(t, func(file string, f *ast.File, _ *token.FileSet) {
		from := path.Dir(file)
		if layer(from) < 0 || strings.HasSuffix(file, "_test.go") {
			return
		}
		for _, imp := range f.Imports {
			to, ours := strings.CutPrefix(unquote(imp.Path.Value), module)
			if why := trespass(from, to); ours && why != "" {
				t.Errorf("%s imports %s: %s", file, to, why)
			}
		}
	})
}

// trespass is the sentence; "" when all is well.
func trespass(from, to string) string {
	fromTop, fromRest, _ := strings.Cut(from, "/")
	toTop, toRest, _ := strings.Cut(to, "/")
	switch {
	case layer(to) < 0 && from != "store/storetest":
		return "nothing outside test and tools knows " + toTop
	case fromTop == toTop && slices.Contains(strangers, fromTop) && first(fromRest) != first(toRest):
		return "one " + fromTop + " does not know another; declare a small interface and let app hand it over"
	case fromTop == toTop:
		return ""
	case layer(from) == layer(to):
		return fromTop + " and " + toTop + " stand side by side and do not know each other"
	case layer(from) > layer(to):
		return fromTop + " lies below " + toTop + ", and imports go down"
	}
	return ""
}

func TestEveryPackageHasAComment(t *testing.T) {
	said, seen := map[string]bool{}, map[string]bool{}
	eachFile(t, func(file string, f *ast.File, _ *token.FileSet) {
		seen[path.Dir(file)] = true
		if f.Doc != nil {
			said[path.Dir(file)] = true
		}
	})
	for pkg := range seen {
		if !said[pkg] {
			t.Errorf("%s has no package comment: say in a sentence what it is for", pkg)
		}
	}
}

func TestNothingHappensBeforeMain(t *testing.T) {
	eachFile(t, func(file string, f *ast.File, set *token.FileSet) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init(): dependencies arrive in New or a struct literal", set.Position(fn.Pos()))
			}
		}
	})
}

func TestNoTestSleepsOutsideABubble(t *testing.T) {
	eachFile(t, func(file string, f *ast.File, set *token.FileSet) {
		bubble := slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return unquote(i.Path.Value) == "testing/synctest" })
		if !strings.HasSuffix(file, "_test.go") || bubble {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s sleeps: wait for what shall happen, or use testing/synctest", set.Position(sel.Pos()))
				}
			}
			return true
		})
	})
}

// eachFile parses every Go file of the module.
func eachFile(t *testing.T, do func(file string, f *ast.File, set *token.FileSet)) {
	t.Helper()
	root := "../.."
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != root || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err == nil {
			do(filepath.ToSlash(rel), f, set)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func unquote(s string) string {
	u, _ := strconv.Unquote(s)
	return u
}

func first(rest string) string {
	f, _, _ := strings.Cut(rest, "/")
	return f
}
