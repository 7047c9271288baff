package transcript

import (
	"embed"
	"io/fs"
	"path"
	"strings"
	"testing"

	"chancery/test/node"
)

//go:embed scripts
var scripts embed.FS

var stage node.Stage

// TestScripts plays every script under scripts, each against a server of its own.
// One of them: go test ./test/transcript -run 'TestScripts/carbons/private'
func TestScripts(t *testing.T) {
	areas, err := fs.ReadDir(scripts, "scripts")
	if err != nil {
		t.Fatal(err)
	}
	for _, area := range areas {
		if area.IsDir() {
			t.Run(area.Name(), func(t *testing.T) { playArea(t, path.Join("scripts", area.Name())) })
		}
	}
}

func playArea(t *testing.T, dir string) {
	files, err := fs.Glob(scripts, dir+"/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(path.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			s, err := Open(scripts, file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, s)
		})
	}
}

func playText(t *testing.T, file, text string) {
	t.Helper()
	s, err := Parse(file, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	play(t, s)
	if t.Failed() {
		t.Logf("the script was\n%s", text)
	}
}

// play runs one script and says how to run it again.
func play(t *testing.T, s *Script) {
	stage.Run(t, func(t *testing.T, n *node.Node) {
		if err := Run(n, s); err != nil {
			t.Errorf("%s\n%v\n\nthe conversation so far:\n  %s\n\nagain: go test ./test/transcript -run '^%s$'",
				s.Title, err, strings.Join(n.Journal.Last(30), "\n  "), strings.ReplaceAll(t.Name(), "/", "$/^"))
		}
	})
}
