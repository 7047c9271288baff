package obs

import (
	"crypto/fips140"
	"runtime"
	"runtime/debug"

	sqlite3 "modernc.org/sqlite/lib"
)

// Build says what this program was made from.
type Build struct {
	Version  string `json:"version"`            // v1.2.3, or a pseudo-version of the commit, or (devel)
	Commit   string `json:"commit,omitempty"`   // of the repository it was built in
	Modified bool   `json:"modified,omitempty"` // the repository had changes that were not committed
	Go       string `json:"go"`                 // go1.26.1 linux/amd64
	FIPS     string `json:"fips"`               // off, or the version of the validated module in use
	SQLite   string `json:"sqlite"`             // of the library linked in
}

// ReadBuild reads it from the program itself.
func ReadBuild() Build {
	b := Build{
		Version: "(devel)", FIPS: "off", SQLite: sqlite3.SQLITE_VERSION,
		Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
	}
	if fips140.Enabled() {
		b.FIPS = "on, module " + fips140.Version()
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
