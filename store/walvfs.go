package store

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite writes each page of its write-ahead log with two system calls, one for the 24 bytes of the frame header and one for
// the page. They cost more than everything else a commit does. This file puts a layer below SQLite (a VFS, https://sqlite.org/vfs.html)
// that collects consecutive writes to the log and hands them down in one when SQLite syncs the log, reads from it, or asks
// for its size. Nothing else is touched: the database itself, its locks and its shared memory go straight to the operating system.
//
// It is safe because we run with synchronous=FULL, where SQLite syncs a commit before it tells other connections that the
// frames are there; what was collected and not handed down when the process dies was never promised to anybody. An error
// while handing down is the error of the sync, and the commit fails.
//
// HOT: with 400 messages on their way, of 10,000 users, 40 → 28 µs of CPU per message; of 100 users 13 → 11 (BenchmarkMessages).

// walBuffer is how much is collected, 31 frames. SQLite's layers take less than 128 KiB at once.
const walBuffer = 127 << 10

// walFile is the open log. It lies in memory of SQLite's allocator, so it holds no Go pointers; the file of the layer
// below follows it directly.
type walFile struct {
	methods uintptr // as in sqlite3_file: SQLite looks here
	buf     uintptr // walBuffer bytes; 0 until the first write
	at      int64   // where in the file buf begins
	n       int32   // bytes in buf
	_       int32
}

// layer is our VFS: everything but opening a log is the base's own.
type layer struct {
	sqlite3.Tsqlite3_vfs
	base    uintptr
	methods uintptr
}

// below is the file of the operating system's layer.
func below(file uintptr) uintptr { return file + unsafe.Sizeof(walFile{}) }

// at is what lies at an address of SQLite's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// bytesAt are n bytes there.
func bytesAt(address uintptr, n int32) []byte { return unsafe.Slice(at[byte](address), n) }

// address is a function as SQLite, translated from C, keeps it. Only functions of the package: a closure would be collected.
func address[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// function is the way back.
func function[F any](address uintptr) F { return *(*F)(unsafe.Pointer(&address)) }

type (
	fileCall = func(*libc.TLS, uintptr) int32
	fileRW   = func(*libc.TLS, uintptr, uintptr, int32, sqlite3.Tsqlite3_int64) int32
	fileInt  = func(*libc.TLS, uintptr, int32) int32
	filePtr  = func(*libc.TLS, uintptr, uintptr) int32
	fileLong = func(*libc.TLS, uintptr, sqlite3.Tsqlite3_int64) int32
	fileCtl  = func(*libc.TLS, uintptr, int32, uintptr) int32
	vfsOpen  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
)

func methodsOf(file uintptr) *sqlite3.Tsqlite3_io_methods {
	return at[sqlite3.Tsqlite3_io_methods](at[sqlite3.Tsqlite3_file](file).FpMethods)
}

// walVFS registers the layer, once in the process, and returns its name for the DSN.
var walVFS = sync.OnceValues(func() (name string, err error) {
	name = "chancery"
	tls := libc.NewTLS()
	base := sqlite3.Xsqlite3_vfs_find(tls, 0)
	vfs := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(layer{})))
	methods := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
	cName, err := libc.CString(name)
	if base == 0 || vfs == 0 || methods == 0 || err != nil {
		return "", errors.New("no memory for SQLite's VFS")
	}
	*at[sqlite3.Tsqlite3_io_methods](methods) = sqlite3.Tsqlite3_io_methods{
		FiVersion: 1, // without shared memory and mapping, which SQLite does not use on the log
		FxClose:   address(walClose), FxRead: address(walRead), FxWrite: address(walWrite), FxTruncate: address(walTruncate), FxSync: address(walSync),
		FxFileSize: address(walFileSize), FxLock: address(walLock), FxUnlock: address(walUnlock), FxCheckReservedLock: address(walCheckReservedLock),
		FxFileControl: address(walFileControl), FxSectorSize: address(walSectorSize), FxDeviceCharacteristics: address(walDeviceCharacteristics),
	}
	l := at[layer](vfs)
	*l = layer{Tsqlite3_vfs: *at[sqlite3.Tsqlite3_vfs](base), base: base, methods: methods}
	l.FpNext, l.FzName, l.FxOpen = 0, cName, address(walOpen)
	l.FszOsFile += int32(unsafe.Sizeof(walFile{}))
	if rc := sqlite3.Xsqlite3_vfs_register(tls, vfs, 0); rc != sqlite3.SQLITE_OK {
		return "", fmt.Errorf("registering SQLite's VFS: code %d", rc)
	}
	return name, nil
})

// walOpen opens any file. Only a log gets our methods; for the others the base's stand where SQLite looks.
func walOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	l := at[layer](vfs)
	open := function[vfsOpen](at[sqlite3.Tsqlite3_vfs](l.base).FxOpen)
	if flags&sqlite3.SQLITE_OPEN_WAL == 0 {
		return open(tls, l.base, name, file, flags, out)
	}
	*at[walFile](file) = walFile{}
	rc := open(tls, l.base, name, below(file), flags, out)
	if at[sqlite3.Tsqlite3_file](below(file)).FpMethods != 0 {
		at[walFile](file).methods = l.methods
	}
	return rc
}

// handDown writes what was collected. Whatever comes of it, it is not collected any more: after an error SQLite begins anew.
func handDown(tls *libc.TLS, file uintptr) int32 {
	f := at[walFile](file)
	if f.n == 0 {
		return sqlite3.SQLITE_OK
	}
	n := f.n
	f.n = 0
	return function[fileRW](methodsOf(below(file)).FxWrite)(tls, below(file), f.buf, n, sqlite3.Tsqlite3_int64(f.at))
}

func walWrite(tls *libc.TLS, file, buf uintptr, n int32, pos sqlite3.Tsqlite3_int64) int32 {
	f := at[walFile](file)
	if f.n > 0 && (int64(pos) != f.at+int64(f.n) || f.n+n > walBuffer) {
		if rc := handDown(tls, file); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	if f.buf == 0 && n <= walBuffer {
		f.buf = libc.Xmalloc(tls, walBuffer)
	}
	if f.buf == 0 || n > walBuffer {
		return function[fileRW](methodsOf(below(file)).FxWrite)(tls, below(file), buf, n, pos)
	}
	if f.n == 0 {
		f.at = int64(pos)
	}
	copy(bytesAt(f.buf+uintptr(f.n), n), bytesAt(buf, n))
	f.n += n
	return sqlite3.SQLITE_OK
}

func walRead(tls *libc.TLS, file, buf uintptr, n int32, pos sqlite3.Tsqlite3_int64) int32 {
	if rc := handDown(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[fileRW](methodsOf(below(file)).FxRead)(tls, below(file), buf, n, pos)
}

func walSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	if rc := handDown(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[fileInt](methodsOf(below(file)).FxSync)(tls, below(file), flags)
}

func walTruncate(tls *libc.TLS, file uintptr, size sqlite3.Tsqlite3_int64) int32 {
	if rc := handDown(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[fileLong](methodsOf(below(file)).FxTruncate)(tls, below(file), size)
}

func walFileSize(tls *libc.TLS, file, size uintptr) int32 {
	if rc := handDown(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[filePtr](methodsOf(below(file)).FxFileSize)(tls, below(file), size)
}

func walClose(tls *libc.TLS, file uintptr) int32 {
	rc := handDown(tls, file)
	f := at[walFile](file)
	if f.buf != 0 {
		libc.Xfree(tls, f.buf)
		f.buf = 0
	}
	if closed := function[fileCall](methodsOf(below(file)).FxClose)(tls, below(file)); closed != sqlite3.SQLITE_OK {
		rc = closed
	}
	f.methods = 0
	return rc
}

func walLock(tls *libc.TLS, file uintptr, level int32) int32 {
	return function[fileInt](methodsOf(below(file)).FxLock)(tls, below(file), level)
}

func walUnlock(tls *libc.TLS, file uintptr, level int32) int32 {
	return function[fileInt](methodsOf(below(file)).FxUnlock)(tls, below(file), level)
}

func walCheckReservedLock(tls *libc.TLS, file, out uintptr) int32 {
	return function[filePtr](methodsOf(below(file)).FxCheckReservedLock)(tls, below(file), out)
}

func walFileControl(tls *libc.TLS, file uintptr, op int32, arg uintptr) int32 {
	return function[fileCtl](methodsOf(below(file)).FxFileControl)(tls, below(file), op, arg)
}

func walSectorSize(tls *libc.TLS, file uintptr) int32 {
	return function[fileCall](methodsOf(below(file)).FxSectorSize)(tls, below(file))
}

func walDeviceCharacteristics(tls *libc.TLS, file uintptr) int32 {
	return function[fileCall](methodsOf(below(file)).FxDeviceCharacteristics)(tls, below(file))
}
