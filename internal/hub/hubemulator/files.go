package hubemulator

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/base/wholefile"
	"rtsptunnel/internal/hub/hubemulator/rollout"
	"rtsptunnel/internal/hub/hubemulator/statefile"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// Files in Options.Dir, besides the authority's key.
const (
	caFile       = "ca.pem"
	ownerKeyFile = "owner-key"
	stateFile    = "state.json"
	socketFile   = "workload.sock"

	dirMode = 0o700
	others  = 0o077 // the rights of everybody but the owner

	ownerKeySize = 32 // bytes

	authorityName = "hub emulator authority"
)

// openFiles takes up what is in the directory, or makes it. With an error the
// directory is unlocked.
func (h *Hub) openFiles() (err error) {
	dir := h.options.Dir
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("make directory for the hub's files: %w", err)
	}
	if h.lock, err = lockDirectory(dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.lock.Close())
		}
	}()
	if h.store, err = loadStore(filepath.Join(dir, stateFile)); err != nil {
		return err
	}
	if h.ca, err = localca.LoadOrCreate(dir, authorityName); err != nil {
		return err
	}
	h.ownerKey, err = h.loadOwnerKey()
	return err
}

// loadStore returns the store kept in path, or an empty one if there is no such
// file. A file that cannot be read is left as it is: it may be all there is.
func loadStore(path string) (*store.Store, error) {
	text, err := wholefile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return store.New(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the hub's state: %w", err)
	}
	s, err := store.Load(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; mend the file, or move it away to begin with an empty hub", path, err)
	}
	return s, nil
}

// keepState begins to keep the store. The first write shows whether it can be
// kept at all.
func (h *Hub) keepState() error {
	h.state = statefile.Start(statefile.Options{
		Path:     filepath.Join(h.options.Dir, stateFile),
		Snapshot: h.store.Snapshot,
		Log:      component(h.options.Log, "state"),
	})
	h.store.KeepWith(h.state.Keep)
	if err := h.state.Keep(h.store.Revision()); err != nil {
		_ = h.state.Close() // the same error again, or nothing is lost
		return fmt.Errorf("keep the hub's state: %w", err)
	}
	return nil
}

// rollOut begins to bring deployments to devices.
func (h *Hub) rollOut() (err error) {
	h.rollout, err = rollout.New(rollout.Options{
		Store: h.store,
		Drop:  h.broker.Drop,
		Log:   component(h.options.Log, "rollout"),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("take up the deployments: %w", err), h.state.Close())
	}
	return nil
}

// loadOwnerKey returns the key from the file the caller has named, or that kept
// in the directory, made if missing.
func (h *Hub) loadOwnerKey() (string, error) {
	if path := h.options.OwnerKeyFile; path != "" {
		h.warnOfReaders(path)
		return readOwnerKey(path)
	}
	path := filepath.Join(h.options.Dir, ownerKeyFile)
	key, err := readOwnerKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return createOwnerKey(path)
	case errors.Is(err, errNoKey):
		return "", fmt.Errorf("%w, remove it to get a new one", err)
	}
	return key, err
}

var errNoKey = errors.New("holds no base64 key")

// readOwnerKey returns the key (base64) in path. Blanks and newlines around it
// are passed over.
func readOwnerKey(path string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the caller of Start names the file
	if err != nil {
		return "", fmt.Errorf("read owner key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) == 0 || strings.ContainsAny(key, "\r\n") {
		return "", fmt.Errorf("owner key file %s %w", path, errNoKey)
	}
	return key, nil
}

func (h *Hub) warnOfReaders(path string) {
	if info, err := os.Stat(path); err == nil && info.Mode()&others != 0 {
		h.options.Log.Warn().Str("file", path).Msg("others have rights on the owner key, mode 0600 is advised")
	}
}

func createOwnerKey(path string) (string, error) {
	raw := make([]byte, ownerKeySize)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("generate owner key: %w", err)
	}
	key := base64.StdEncoding.EncodeToString(raw)
	if err := wholefile.Write(path, wholefile.Private, strings.NewReader(key)); err != nil {
		return "", fmt.Errorf("keep owner key: %w", err)
	}
	return key, nil
}
