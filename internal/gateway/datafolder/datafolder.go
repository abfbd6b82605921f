// Package datafolder holds the gateway's folder for what it generates: the hash of its first
// token, its signing keys, which it seals, and shares. It creates the folder, refuses one that
// other users can write to, and locks it against a second gateway.
//
// Code belongs here if it keeps a file in that folder. The package does not know what a
// token allows.
package datafolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"rtsptunnel/internal/base/wholefile"
)

const (
	folderMode = 0o700
	othersMay  = 0o002 // write

	lockFile = "lock"
	hashFile = "admin-token.sha256"
)

// Folder is an open, locked folder. The caller closes it.
type Folder struct {
	path string
	lock *os.File
}

// ErrInUse is the error of a folder that another process has locked.
var ErrInUse = errors.New("is in use by another gateway: stop it, or choose another folder by data")

// Open creates the folder if there is none, and locks it. The lock lasts until Close or the
// end of the process, even in a crash.
func Open(path string) (*Folder, error) {
	if err := os.MkdirAll(path, folderMode); err != nil {
		return nil, fmt.Errorf("data folder: %w: create it for this user, or choose another folder by data (TUNNELGATEWAY_DATA)", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if mode := info.Mode().Perm(); mode&othersMay != 0 {
		return nil, fmt.Errorf("data folder %s has mode %04o, so every user can write to it: chmod it to 0700, or choose a folder below it", path, mode)
	}
	// The file stays: two gateways could lock two files of one name otherwise.
	file, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, wholefile.Private) //nolint:gosec // the operator names the folder
	if err != nil {
		return nil, fmt.Errorf("data folder: %w%s", err, advice(err))
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &Folder{path, file}, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	return nil, errors.Join(fmt.Errorf("data folder %s %w", path, err), file.Close())
}

// Close unlocks the folder.
func (f *Folder) Close() error { return f.lock.Close() }

// TokenFile returns the path of the generated token's hash, for messages: to get a new
// token, an operator removes it.
func (f *Folder) TokenFile() string { return filepath.Join(f.path, hashFile) }

// TokenHash returns the text of the generated token's hash. If there is none, it stores the
// one that generate returns, and created is set.
func (f *Folder) TokenHash(generate func() (hash string)) (hash string, created bool, err error) {
	kept, err := wholefile.Read(f.TokenFile())
	if err == nil {
		return strings.TrimSpace(string(kept)), false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("data folder: %w", err)
	}
	hash = generate()
	if err := f.write(hashFile, []byte(hash+"\n")); err != nil {
		return "", false, err
	}
	return hash, true, nil
}
