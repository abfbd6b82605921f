package access

import (
	"errors"
	"fmt"
	"io/fs"
)

// Store keeps small files, each replaced as a whole. Package datafolder has one that seals the
// files below keys/. Its methods are called by one goroutine at a time.
type Store interface {
	// Load returns a file's content. The error is fs.ErrNotExist if there is no such file.
	Load(file string) ([]byte, error)
	// Save replaces a file durably, or leaves it as it was.
	Save(file string, content []byte) error
	// SetAside renames a file that cannot be used, so that the next Save does not destroy it.
	// It returns the new name.
	SetAside(file string) (string, error)
}

// The files of a Store.
const (
	keysFile    = "keys/signing"
	cookiesFile = "cookies.json"
	sharesFile  = "shares.json"
)

// memory is the Store of an Access without one: it keeps nothing.
type memory struct{}

func (memory) Load(string) ([]byte, error)     { return nil, fs.ErrNotExist }
func (memory) Save(string, []byte) error       { return nil }
func (memory) SetAside(string) (string, error) { return "", nil }

// load reads a file of the store by decode. A file that cannot be used is set aside, and the
// error is a warning that says what is lost with it.
func load(s Store, file, lost string, decode func([]byte) error) error {
	content, err := s.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = decode(content)
	}
	if err == nil {
		return nil
	}
	aside, moving := s.SetAside(file)
	if moving != nil {
		return fmt.Errorf("%s cannot be used, so %s: %w", file, lost, errors.Join(err, moving))
	}
	return fmt.Errorf("%s cannot be used, so %s; the file is kept as %s: %w", file, lost, aside, err)
}
