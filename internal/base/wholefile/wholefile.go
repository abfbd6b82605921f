// Package wholefile replaces files atomically, also if the process is killed or the
// machine loses power: it writes a temporary file in the same directory, syncs it, renames
// it, and syncs the directory.
package wholefile

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// Private is the mode of files that hold keys.
	Private = 0o600
	// Public is the mode of files that all users may read.
	Public = 0o644

	// temporary is the suffix of a file that is being written.
	temporary = ".tmp"

	bufferSize = 256 * 1024 // bytes
)

// Read returns the content of path. The error is fs.ErrNotExist if there is no file. Read
// removes a temporary file that a killed process has left.
func Read(path string) ([]byte, error) {
	if err := remove(path + temporary); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // the caller names the file
}

// Write replaces path with document, durably. The file has mode from its creation; the
// mode of an existing file does not matter. After an error path is unchanged, except if
// only the sync of the directory failed: then it holds document. No temporary file is
// left. Callers must not write the same path concurrently.
func Write(path string, mode fs.FileMode, document io.WriterTo) error {
	if err := replace(path, mode, document); err != nil {
		return errors.Join(err, remove(path+temporary))
	}
	return syncDirectory(filepath.Dir(path))
}

func replace(path string, mode fs.FileMode, document io.WriterTo) error {
	// It exists only if its removal failed before.
	if err := remove(path + temporary); err != nil {
		return err
	}
	if err := create(path+temporary, mode, document); err != nil {
		return err
	}
	return os.Rename(path+temporary, path)
}

// create writes and syncs a file that must not exist.
func create(path string, mode fs.FileMode, document io.WriterTo) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffer := bufio.NewWriterSize(file, bufferSize)
	if _, err := document.WriteTo(buffer); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	return file.Sync()
}

// syncDirectory makes a rename in the directory durable.
func syncDirectory(path string) error {
	directory, err := os.Open(path) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// remove removes a file if it exists.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
