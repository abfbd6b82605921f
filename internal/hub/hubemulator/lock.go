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

// lockDirectory locks dir against other hubs, and fails if another hub has locked it. The
// lock lasts until the file is closed or the process ends, even in a crash. The file is
// never removed: otherwise two hubs could lock two files of the same name.
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
