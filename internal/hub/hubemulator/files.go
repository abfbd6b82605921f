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

// Files in Options.Dir, except the authority's key and the lock.
const (
	caFile       = "ca.pem"
	ownerKeyFile = "owner-key"
	stateFile    = "state.json"
	socketFile   = "workload.sock"

	dirMode        = 0o700
	groupAndOthers = 0o077 // permissions of all users except the owner

	ownerKeySize = 32 // bytes

	authorityName = "hub emulator authority"
)

// openFiles locks the directory and loads or creates its files. After an error the
// directory is unlocked.
func (h *Hub) openFiles() (err error) {
	dir := h.options.Dir
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("create the directory of the hub's files: %w", err)
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

// loadStore returns the store in the file, or an empty one if the file does not exist.
// It never changes a file that it cannot read, because there may be no other copy.
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
		return nil, fmt.Errorf("%s: %w; repair the file, or move it away to start with an empty hub", path, err)
	}
	return s, nil
}

// startStateFile starts to write the store to the state file. It writes once to detect
// whether the file can be written at all.
func (h *Hub) startStateFile() error {
	h.state = statefile.Start(statefile.Options{
		Path:     filepath.Join(h.options.Dir, stateFile),
		Snapshot: h.store.Snapshot,
		Log:      component(h.options.Log, "state"),
	})
	h.store.KeepWith(h.state.Keep)
	if err := h.state.Keep(h.store.Revision()); err != nil {
		_ = h.state.Close() // returns the same error, or nothing is lost
		return fmt.Errorf("write the hub's state: %w", err)
	}
	return nil
}

// startRollout starts to apply the configurations to devices.
func (h *Hub) startRollout() (err error) {
	h.rollout, err = rollout.New(rollout.Options{
		Store: h.store,
		Drop:  h.broker.Drop,
		Log:   component(h.options.Log, "rollout"),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("load the deployments: %w", err), h.state.Close())
	}
	return nil
}

// loadOwnerKey returns the key in Options.OwnerKeyFile, or else the key in the directory,
// which it creates if it is missing.
func (h *Hub) loadOwnerKey() (string, error) {
	if path := h.options.OwnerKeyFile; path != "" {
		h.warnIfReadable(path)
		return readOwnerKey(path)
	}
	path := filepath.Join(h.options.Dir, ownerKeyFile)
	key, err := readOwnerKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return createOwnerKey(path)
	case errors.Is(err, errNoKey):
		return "", fmt.Errorf("%w, remove the file to get a new key", err)
	}
	return key, err
}

var errNoKey = errors.New("holds no base64 key")

// readOwnerKey returns the base64 key in the file, without surrounding white space.
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

func (h *Hub) warnIfReadable(path string) {
	if info, err := os.Stat(path); err == nil && info.Mode()&groupAndOthers != 0 {
		h.options.Log.Warn().Str("file", path).Msg("other users can access the owner key, mode 0600 is advised")
	}
}

func createOwnerKey(path string) (string, error) {
	raw := make([]byte, ownerKeySize)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("generate owner key: %w", err)
	}
	key := base64.StdEncoding.EncodeToString(raw)
	if err := wholefile.Write(path, wholefile.Private, strings.NewReader(key)); err != nil {
		return "", fmt.Errorf("write owner key: %w", err)
	}
	return key, nil
}
