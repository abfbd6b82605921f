package datafolder

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rtsptunnel/internal/base/wholefile"
)

const (
	sealFile = "seal.key"
	sealed   = "keys/" // files below it are sealed

	sealMagic = "RTS1" // begins a sealed file; then a nonce, then AES-256-GCM's text
	sealLeast = 32     // characters of a seal key: 128 bits in hexadecimal
	fileMost  = 4 << 20

	damaged = ".damaged" // ends the name of a file that was set aside
)

// Store keeps small files in the folder, each replaced as a whole. It seals the files below
// keys/ with AES-256-GCM, so that a copy of the folder without the seal key shows none of them.
// One goroutine at a time uses it.
type Store struct {
	folder *Folder
	seal   cipher.AEAD

	unsaved string // the folder's own seal key, if the folder has not taken it yet
}

// ErrSeal is the error of a sealed file that is damaged, was renamed, or has another seal key.
var ErrSeal = errors.New("it is damaged, or was sealed with another key")

// Store returns the folder's store. The seal key is made of text, the content of an operator's
// file: 32 characters or more, blanks around it ignored. If text is empty, the key is in the
// folder: the file seal.key, which is made if there is none. A folder that does not take the
// file gives a store, which saves the key before it saves a sealed file, and the error, which
// is a warning then.
func (f *Folder) Store(text string) (*Store, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return f.ownStore()
	}
	if len(text) < sealLeast {
		return nil, fmt.Errorf("the seal key has less than %d characters: make one by openssl rand -hex 32", sealLeast)
	}
	return f.store(text)
}

// ownStore is a store with the folder's own seal key.
func (f *Folder) ownStore() (*Store, error) {
	path := filepath.Join(f.path, sealFile)
	kept, err := wholefile.Read(path)
	if text := strings.TrimSpace(string(kept)); err == nil && len(text) >= sealLeast && len(text) <= fileMost {
		return f.store(text)
	}
	var warning error
	if !errors.Is(err, fs.ErrNotExist) {
		warning = fmt.Errorf("data folder: %s cannot be used, so what was sealed with it is lost: %w", sealFile,
			errors.Join(err, os.Rename(path, path+damaged)))
	}
	var bits [sha256.Size]byte
	_, _ = rand.Read(bits[:]) // never fails: see crypto/rand
	text := hex.EncodeToString(bits[:])
	s, err := f.store(text)
	if err != nil {
		return nil, err
	}
	s.unsaved = text
	return s, errors.Join(warning, s.saveKey())
}

func (f *Folder) store(text string) (*Store, error) {
	key, err := hkdf.Key(sha256.New, []byte(text), nil, "tunnelgateway seal", sha256.Size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Store{folder: f, seal: aead}, nil
}

// Load returns a file's content. The error is fs.ErrNotExist if there is no such file, and
// ErrSeal.
func (s *Store) Load(file string) ([]byte, error) {
	path := filepath.Join(s.folder.path, filepath.FromSlash(file))
	if info, err := os.Stat(path); err == nil && (!info.Mode().IsRegular() || info.Size() > fileMost) {
		return nil, fmt.Errorf("data folder: %s is no file of this program", file)
	}
	content, err := wholefile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if !strings.HasPrefix(file, sealed) {
		return content, nil
	}
	content, ok := bytes.CutPrefix(content, []byte(sealMagic))
	if !ok {
		return nil, ErrSeal
	}
	if content, err = s.seal.Open(nil, nil, content, []byte(file)); err != nil {
		return nil, ErrSeal
	}
	return content, nil
}

// Save replaces a file durably, or leaves it as it was.
func (s *Store) Save(file string, content []byte) error {
	if strings.HasPrefix(file, sealed) {
		if err := s.saveKey(); err != nil {
			return err
		}
		content = s.seal.Seal([]byte(sealMagic), nil, content, []byte(file)) //nolint:gosec // it makes a random nonce; the text is what precedes it
	}
	return s.folder.write(file, content)
}

// saveKey writes the folder's own seal key, unless it is there. A file that is sealed with a key
// that is not saved would be lost.
func (s *Store) saveKey() error {
	if s.unsaved == "" {
		return nil
	}
	if err := s.folder.write(sealFile, []byte(s.unsaved+"\n")); err != nil {
		return err
	}
	s.unsaved = ""
	return nil
}

// SetAside renames a file, so that the next Save does not destroy it, and returns the new name.
// One file is kept so.
func (s *Store) SetAside(file string) (string, error) {
	aside := file + damaged
	path := filepath.Join(s.folder.path, filepath.FromSlash(file))
	if err := os.Rename(path, path+damaged); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	return aside, nil
}

// write replaces a file of the folder.
func (f *Folder) write(file string, content []byte) error {
	path := filepath.Join(f.path, filepath.FromSlash(file))
	err := os.MkdirAll(filepath.Dir(path), folderMode)
	if err == nil {
		err = wholefile.Write(path, wholefile.Private, bytes.NewReader(content))
	}
	if err != nil {
		return fmt.Errorf("data folder: %w%s", err, advice(err))
	}
	return nil
}
