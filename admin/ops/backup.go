package ops

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Backup makes a consistent copy of the whole database while work goes on, and hands it out: a SQLite file of known size,
// whatever the database. It has every password's keys and every archived message. The copy needs room in the data folder until it is closed.
func (o *Ops) Backup(ctx context.Context, by Actor) (content io.ReadCloser, size int64, err error) {
	if err := o.do(ctx, by, act{right: Backup, action: "backup"}, nil); err != nil {
		return nil, 0, err
	}
	dir, err := os.MkdirTemp(o.Node.Data, "backup-")
	if err != nil {
		return nil, 0, explain(err)
	}
	c := &passing{dir: dir}
	if err := o.DB.Backup(ctx, filepath.Join(dir, "copy")); err != nil {
		return nil, 0, errors.Join(explain(err), c.Close())
	}
	if c.File, err = os.Open(filepath.Join(dir, "copy")); err != nil {
		return nil, 0, errors.Join(explain(err), c.Close())
	}
	info, err := c.Stat()
	if err != nil {
		return nil, 0, errors.Join(explain(err), c.Close())
	}
	return c, info.Size(), nil
}

// passing is a file that goes away, with its folder, when it is closed.
type passing struct {
	*os.File
	dir string
}

func (p *passing) Close() error {
	var err error
	if p.File != nil {
		err = p.File.Close()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}
