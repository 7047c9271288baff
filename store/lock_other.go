//go:build !unix

package store

import (
	"fmt"
	"os"
)

// fileLock keeps a second program away from a SQLite file: the file cannot be removed while it is open.
type fileLock struct {
	f    *os.File
	path string
}

func lockFile(path string) (*fileLock, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("%s: %w", path, ErrInUse)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &fileLock{f, path}, nil
}

func (l *fileLock) release() {
	if l != nil {
		l.f.Close()
		os.Remove(l.path)
	}
}
