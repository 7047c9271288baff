package store

import (
	"strings"
	"testing"
)

func TestPlaceholdersAreNumbered(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT 1":             "SELECT 1",
		"a = ? AND b = ?":      "a = $1 AND b = $2",
		"'?' = ? OR \"?\" = ?": "'?' = $1 OR \"?\" = $2",
		"'it''s ?' = ?":        "'it''s ?' = $1",
		"? -- why?\n, ?":       "$1 -- why?\n, $2",
		"'open ?":              "'open ?",
	} {
		if got := rebind(query); got != want {
			t.Errorf("rebind(%q) = %q, want %q", query, got, want)
		}
	}
}

func FuzzRebind(f *testing.F) {
	for _, s := range []string{"a = ? AND b = '?'", "--?\n?", "'", `"?`, "-?-", "?'?'?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got := rebind(query)
		if again := rebind(got); again != got {
			t.Errorf("rebind(%q) = %q, and again %q", query, got, again)
		}
		if !strings.Contains(query, "$") && strings.Count(got, "$")+strings.Count(got, "?") != strings.Count(query, "?") {
			t.Errorf("rebind(%q) = %q", query, got)
		}
	})
}

func TestOnlyAConnectionThatLeavesTheMachineMustBeVerified(t *testing.T) {
	for dsn, exposed := range map[string]bool{
		"host=/run/postgresql dbname=x":                 false,
		"host=localhost dbname=x":                       false,
		"host=127.0.0.1 dbname=x":                       false,
		"host=db.example dbname=x":                      true,
		"host=db.example dbname=x sslmode=disable":      true,
		"host=db.example dbname=x sslmode=require":      true,
		"host=db.example dbname=x sslmode=verify-full":  false,
		"postgres://db.example/x?sslmode=verify-full":   false,
		"postgres://u:p@192.0.2.1:5433/x?sslmode=allow": true,
	} {
		d, err := dialectOf(Config{Driver: Postgres, DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.exposed(); (got != "") != exposed {
			t.Errorf("%s: %q", dsn, got)
		}
	}
}
