package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// self is how this program is called from this folder.
func self() string {
	exe, err := os.Executable()
	switch {
	case err != nil:
		return "chancery"
	case strings.Contains(exe, "go-build"):
		return "go run ./cmd/chancery"
	}
	if found, err := exec.LookPath("chancery"); err == nil && same(found, exe) {
		return "chancery"
	}
	if dir, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(dir, exe); err == nil && !strings.HasPrefix(rel, "..") {
			return quote("./" + rel)
		}
	}
	return quote(exe)
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// quote makes one word of s for a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,=~", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
