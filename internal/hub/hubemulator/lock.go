package hubemulator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	lockFile = "lock"
	lockMode = 0o600
)

var errInUse = errors.New("is in use by another hub emulator, stop it or choose another directory")

// lockDirectory keeps other hubs out of dir, and is kept out by them. The lock is
// held until the file is closed or the process has ended, however it ends; the
// file stays, so that nobody locks a file that another one is about to remove.
func lockDirectory(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, lockMode) //nolint:gosec // the caller of Start names the directory
	if err != nil {
		return nil, fmt.Errorf("lock directory: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errInUse
	}
	return nil, errors.Join(fmt.Errorf("directory %s %w", dir, err), file.Close())
}
