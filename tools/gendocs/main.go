// Gendocs makes everything that is generated: the manuals inside the program from the comments beside the fields
// (docs_gen.go), and then, by asking the program, the pages of docs/ that are not written by hand.
//
//go:generate go run chancery/tools/gendocs ../..
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs FOLDER, the root of the repository")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	for _, m := range []manual{
		{dir: "base/config", root: "Config", tag: "toml"},
		{dir: "core/settings", root: "Settings", tag: "name"},
	} {
		if err := m.write(root); err != nil {
			return err
		}
	}
	return pages(root)
}

// pages lets the program, which now knows its manuals, write docs/*.md.
func pages(root string) error {
	cmd := exec.Command("go", "run", "./cmd/chancery", "docs", filepath.Join("docs"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stdout, os.Stderr
	return cmd.Run()
}
