package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

func TestEmptyFileIsComplete(t *testing.T) {
	c, err := Parse("/etc/chancery/chancery.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		File: "/etc/chancery/chancery.toml", Data: "/etc/chancery/data", Database: "/etc/chancery/data/chancery.db",
		Listener: []Listener{
			{Name: "c2s", Address: ":5222", Mode: "both"},
			{Name: "c2s-tls", Address: ":5223", Direct: true, Mode: "both"},
		},
		Admin: Admin{Address: "127.0.0.1:5290"},
		Log:   Log{Level: "info", Format: "text"},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
}

func TestEverythingThatIsWrongIsReportedAtItsPlace(t *testing.T) {
	const text = `databse = "x.db"
data = 5

[[listener]]
name = "a b"
address = "5222"
mode = "strikt"

[[listener]]
name = "two"
address = "example.org:5222"
direct = "yes"
proxy = ["10.0.0.0/40", "10.1.0.0/8", 3]

[[listener]]
name = "two"

[log]
format = "xml"
colour = true
`
	_, err := Parse("c.toml", []byte(text))
	want := strings.TrimSpace(`
c.toml:1:1: unknown key "databse"; did you mean "database"?
c.toml:2:1: data must be text in quotes, not a number
c.toml:5:1: the name "a b" of a listener may have letters, digits, - and _ only, at most 64
c.toml:6:1: "5222" is not an address to listen on; write :5222, 192.0.2.7:5222 or [2001:db8::7]:5222
c.toml:7:1: listener.1.mode is "strikt"; it must be one of both, strict
c.toml:11:1: "example.org:5222": a server listens on addresses, not on names; leave the host out to listen on every address
c.toml:12:1: listener.2.direct must be true or false, not text
c.toml:13:1: every item of listener.2.proxy must be text in quotes, not a number
c.toml:13:1: "10.0.0.0/40" is not an address or prefix; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32
c.toml:13:1: "10.1.0.0/8" has bits beyond its length; the network is 10.0.0.0/8
c.toml:15:3: listener 3 has no address; write address = ":5222"
c.toml:16:1: listeners 2 and 3 have the same name "two"
c.toml:19:1: log.format is "xml"; it must be one of text, json
c.toml:20:1: unknown key "log.colour"; known are level, format`)
	if err == nil {
		t.Fatal("accepted")
	}
	if d := cmp.Diff(want, err.Error()); d != "" {
		t.Error(d)
	}
}

func TestProblemsAreFoundInEveryWayOfWritingATable(t *testing.T) {
	for text, want := range map[string]string{
		"listener = [{name='a', address=':1'},\n {name='b', address='x'}]": `c.toml:2:13: "x" is not an address`,
		"log.level = 'loud'":   `c.toml:1:5: log.level is "loud"`,
		"log = {level='loud'}": `c.toml:1:8: log.level is "loud"`,
		"\nlog = 'x'":          `c.toml:2:1: log must be a table`,
		"[listener]\nname='a'": `c.toml:1:2: write [[listener]], with two brackets`,
		"data = 'a'\ndata='b'": `c.toml:2:1:`,
		"data = 'a":            `c.toml:1:9:`,
		"[log.x]":              `c.toml:1:6: unknown key "log.x"`,
		"database='mysql://x'": `c.toml:1:1: database begins with mysql://`,
	} {
		_, err := Parse("c.toml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestPasswordOfTheDatabaseIsNotShown(t *testing.T) {
	for _, dsn := range []string{
		"postgres://u:hunter2@db/x", "postgres://u@db/x?password=hunter2", "postgresql://u:hunter2@db/x?sslmode=verify-full",
		"postgres://u:hunter2%@db/x",
	} {
		c := Config{Database: dsn}
		if s := c.SafeDatabase(); strings.Contains(s, "hunter2") {
			t.Errorf("%s is shown as %s", dsn, s)
		}
		if _, err := Parse("c.toml", []byte("database = '"+dsn+"'")); err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestPathsStartWherePeopleExpect(t *testing.T) {
	c, err := Parse("/etc/c.toml", []byte("data='/var/lib/c'\ndatabase='x.db'"))
	if err != nil || c.Database != "/var/lib/c/x.db" || c.AdminSocket() != "/var/lib/c/admin.sock" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSampleIsTheDefault(t *testing.T) {
	var active []string
	for line := range strings.Lines(Sample()) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") && !strings.Contains(line, "listener") {
			line = line[1:]
		}
		active = append(active, line)
	}
	sample := strings.Join(active, "")
	// The keys of the commented [[listener]] would stand at the top level.
	from, to := strings.Index(sample, "# A door for clients"), strings.Index(sample, "# Metrics and health")
	got, err := Parse("/x/c.toml", []byte(sample[:from]+sample[to:]))
	if err != nil {
		t.Fatalf("%v\n%s", err, sample)
	}
	want, _ := Parse("/x/c.toml", nil)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEveryKeyHasAManual(t *testing.T) {
	for _, e := range Describe() {
		if e.Doc == "" {
			t.Errorf("%s has no comment, or `go generate ./...` was not run", e.Name)
		}
	}
}

func TestMissingFileSaysWhatToDo(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "chancery.toml"))
	if err == nil || !strings.Contains(err.Error(), "quickstart") {
		t.Error(err)
	}
}

func TestLoadKnowsItsFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(file, []byte("data = 'd'"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil || c.Data != filepath.Join(dir, "d") {
		t.Errorf("%+v %v", c, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Sample()))
	f.Add([]byte("data='x'\n[[listener]]\nname='a'\naddress=':0'\nproxy=['::1']\n[log]\nlevel='debug'"))
	f.Add([]byte("listener = [{name='a'}, 3, {log=[{}]}]\nlog.level.x = 1979-05-27\n\"a.b\" = 1.5"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("/etc/c.toml", text)
		if err != nil {
			problems, ok := err.(Problems)
			if !ok || len(problems) == 0 {
				t.Fatalf("not a list of problems: %v", err)
			}
			lines := strings.Count(string(text), "\n") + 1
			for _, p := range problems {
				if p.Line < 1 || p.Line > lines || p.Column < 1 || p.Text == "" {
					t.Fatalf("%v, in %d lines", p, lines)
				}
			}
			return
		}
		if len(c.Listener) == 0 || c.Data == "" || c.Database == "" || c.Log.Level == "" {
			t.Fatalf("incomplete: %+v", c)
		}
		// What was read can be written and read again.
		again, err := toml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		c2, err := Parse("/etc/c.toml", again)
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if d := cmp.Diff(c, c2); d != "" {
			t.Fatal(d)
		}
	})
}
