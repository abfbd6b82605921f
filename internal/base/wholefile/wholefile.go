// Package wholefile writes files that are whole or not there, whenever the
// process or the machine ends: a document goes to a temporary file beside the
// one it is for, is synced and renamed, and the directory is synced.
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
	// Public is the mode of files that everybody may read.
	Public = 0o644

	// temporary is what the name of a file that is being written ends in.
	temporary = ".tmp"

	bufferSize = 256 * 1024 // bytes
)

// Read returns the document in path, or an error that is fs.ErrNotExist. What
// a process that was killed has left beside it is removed.
func Read(path string) ([]byte, error) {
	if err := remove(path + temporary); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // the caller names the file
}

// Write makes document all there is in path, so that it outlives the machine. The
// file has that mode from the beginning, whatever one that was there had. After an
// error path is as it was, or holds the document all the same (if only the
// directory could not be synced). No other file stays behind. Two must not write
// one file at the same time.
func Write(path string, mode fs.FileMode, document io.WriterTo) error {
	if err := replace(path, mode, document); err != nil {
		return errors.Join(err, remove(path+temporary))
	}
	return syncDirectory(filepath.Dir(path))
}

func replace(path string, mode fs.FileMode, document io.WriterTo) error {
	// Left behind only if removing it failed before.
	if err := remove(path + temporary); err != nil {
		return err
	}
	if err := create(path+temporary, mode, document); err != nil {
		return err
	}
	return os.Rename(path+temporary, path)
}

// create writes a file that must not exist yet, to the disk.
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

// syncDirectory makes a rename in the directory outlive the machine.
func syncDirectory(path string) error {
	directory, err := os.Open(path) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// remove removes a file, if it is there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
