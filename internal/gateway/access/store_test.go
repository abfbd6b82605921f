package access_test

import (
	"bytes"
	"errors"
	"io/fs"
	"sync"
)

// fakeStore keeps files in memory. Two that run at once are a fault that the race detector
// finds.
type fakeStore struct {
	mu    sync.Mutex
	files map[string][]byte
	full  bool // Save fails
	saves int
}

func newFakeStore() *fakeStore { return &fakeStore{files: map[string][]byte{}} }

var errFull = errors.New("no space left on device")

func (s *fakeStore) Load(file string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.files[file]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(content), nil
}

func (s *fakeStore) Save(file string, content []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.full {
		return errFull
	}
	s.files[file] = bytes.Clone(content)
	return nil
}

func (s *fakeStore) SetAside(file string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[file+".damaged"] = s.files[file]
	delete(s.files, file)
	return file + ".damaged", nil
}

func (s *fakeStore) setFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}
