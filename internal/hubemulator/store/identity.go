package store

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// keySize is the size of a symmetric key in bytes.
	keySize = 32
	// maxIDLength and idMarks are IoT Hub's rule for ids (Microsoft,
	// "Understand the identity registry in your IoT hub", section "Device
	// identity properties").
	maxIDLength = 128
	idMarks     = "-.+%_#*?!(),:=@$'"
)

// What can go wrong with an identity; match with errors.Is.
var (
	ErrDeviceNotFound = errors.New("device not found")
	ErrModuleNotFound = errors.New("module not found")
	ErrInvalidID      = errors.New("invalid id")
)

// ID names a device, or a module of a device. Upper and lower case differ.
type ID struct {
	Device string
	Module string // empty for the device itself
}

// String returns "device" or "device/module", which is also the MQTT client
// id of the identity.
func (id ID) String() string {
	if id.Module == "" {
		return id.Device
	}
	return id.Device + "/" + id.Module
}

// Path returns the resource of the identity below its hub:
// "devices/{device}" or "devices/{device}/modules/{module}".
func (id ID) Path() string {
	if id.Module == "" {
		return "devices/" + id.Device
	}
	return "devices/" + id.Device + "/modules/" + id.Module
}

func (id ID) device() ID {
	return ID{Device: id.Device}
}

func (id ID) validate() error {
	if !validName(id.Device) || id.Module != "" && !validName(id.Module) {
		return fmt.Errorf("%w %q: want 1 to %d letters, digits or %s", ErrInvalidID, id, maxIDLength, idMarks)
	}
	return nil
}

func validName(name string) bool {
	if name == "" || len(name) > maxIDLength {
		return false
	}
	for _, c := range []byte(name) {
		alphanumeric := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alphanumeric && !strings.ContainsRune(idMarks, rune(c)) {
			return false
		}
	}
	return true
}

// Identity is a device or module that may connect.
type Identity struct {
	ID ID
	// GenerationID tells an identity from an earlier one of the same name.
	GenerationID string
	// PrimaryKey and SecondaryKey are the symmetric keys, base64. They are
	// secrets.
	PrimaryKey   string
	SecondaryKey string
	// ModelID is what the identity announced at its latest login; empty if
	// it announced none.
	ModelID string
}

// Ensure returns the identity id, making it, and the device it belongs to, if
// missing. New identities get fresh keys. It returns ErrInvalidID, wrapped,
// for a name IoT Hub would refuse.
func (s *Store) Ensure(id ID) (Identity, error) {
	if err := id.validate(); err != nil {
		return Identity{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ensure(id.device())
	return s.ensure(id).identity, nil
}

func (s *Store) ensure(id ID) *entry {
	if e, ok := s.entries[id]; ok {
		return e
	}
	e := &entry{
		identity: Identity{
			ID:           id,
			GenerationID: newGenerationID(),
			PrimaryKey:   newKey(),
			SecondaryKey: newKey(),
		},
		desired:  newSection(),
		reported: newSection(),
		updates:  1,
		version:  1,
	}
	s.entries[id] = e
	return e
}

// Identity returns the identity id, or ErrDeviceNotFound or
// ErrModuleNotFound.
func (s *Store) Identity(id ID) (Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return Identity{}, err
	}
	return e.identity, nil
}

// SetModelID keeps the model an identity announced at login; empty takes it
// back. It returns ErrDeviceNotFound or ErrModuleNotFound.
func (s *Store) SetModelID(id ID, model string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return err
	}
	e.identity.ModelID = model
	return nil
}

func newKey() string {
	raw := make([]byte, keySize)
	rand.Read(raw) // never returns an error (Go 1.24 release notes)
	return base64.StdEncoding.EncodeToString(raw)
}

// newGenerationID returns 18 decimal digits, as IoT Hub's generation ids are.
func newGenerationID() string {
	const digits = 18
	var id strings.Builder
	raw := make([]byte, digits)
	rand.Read(raw) // never returns an error (Go 1.24 release notes)
	for _, b := range raw {
		id.WriteString(strconv.Itoa(int(b % 10)))
	}
	return id.String()
}
