package hubemulator

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rtsptunnel/internal/localca"
)

// Files in Options.Dir, besides the authority's key.
const (
	caFile       = "ca.pem"
	ownerKeyFile = "owner-key"
	socketFile   = "workload.sock"

	dirMode = 0o700
	keyMode = 0o600

	ownerKeySize = 32 // bytes

	authorityName = "hub emulator authority"
)

// openFiles takes up what is in the directory, or makes it.
func (h *Hub) openFiles() error {
	dir := h.options.Dir
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("make directory for the hub's files: %w", err)
	}
	var err error
	if h.ca, err = localca.LoadOrCreate(dir, authorityName); err != nil {
		return err
	}
	h.ownerKey, err = loadOwnerKey(filepath.Join(dir, ownerKeyFile))
	return err
}

// loadOwnerKey returns the key kept in path (base64), made if missing.
func loadOwnerKey(path string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the caller of Start names the directory; the file name is a constant
	if errors.Is(err, fs.ErrNotExist) {
		return createOwnerKey(path)
	}
	if err != nil {
		return "", fmt.Errorf("read owner key: %w", err)
	}
	if raw, err := base64.StdEncoding.DecodeString(string(text)); err != nil || len(raw) == 0 {
		return "", fmt.Errorf("%s holds no base64 key, remove it to get a new one", path)
	}
	return string(text), nil
}

func createOwnerKey(path string) (string, error) {
	raw := make([]byte, ownerKeySize)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("generate owner key: %w", err)
	}
	key := base64.StdEncoding.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(key), keyMode); err != nil {
		return "", fmt.Errorf("keep owner key: %w", err)
	}
	return key, nil
}
