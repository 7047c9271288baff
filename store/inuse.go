package store

import "errors"

// InUse tells whether a running program has the SQLite file at path.
func InUse(path string) bool {
	l, err := lockFile(path + ".lock")
	if err != nil {
		return errors.Is(err, ErrInUse)
	}
	l.release()
	return false
}
