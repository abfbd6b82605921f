package store

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// keySize is the size of a symmetric key the store makes, in bytes; a
	// service may bring keys of other sizes.
	keySize    = 32
	minKeySize = 16
	maxKeySize = 64
	// maxIDLength and idMarks are IoT Hub's rule for ids (Microsoft,
	// "Understand the identity registry in your IoT hub", section "Device
	// identity properties").
	maxIDLength = 128
	idMarks     = "-.+%_#*?!(),:=@$'"
	// maxStatusReason is in bytes (same section).
	maxStatusReason = 128
)

// What can go wrong with an identity; match with errors.Is.
var (
	ErrDeviceNotFound = errors.New("device not found")
	ErrModuleNotFound = errors.New("module not found")
	ErrInvalidID      = errors.New("invalid id")
	ErrSettings       = errors.New("invalid settings")
	ErrDeviceExists   = errors.New("device exists")
	ErrModuleExists   = errors.New("module exists")
	ErrTooManyModules = errors.New("too many modules on the device")
	ErrDisabled       = errors.New("device is disabled")
)

// ID names a device, or a module of a device. Upper and lower case differ.
type ID struct {
	Device string `json:"device"`
	Module string `json:"module,omitempty"` // empty for the device itself
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

// CheckModule returns nil for a name that a module may have, else ErrInvalidID, wrapped.
func CheckModule(name string) error {
	if !validName(name) {
		return fmt.Errorf("%w of a module, %.64q: want 1 to %d letters, digits or %s", ErrInvalidID, name, maxIDLength, idMarks)
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

// Identity is a device or module of the registry. The names of members in JSON,
// here and below, are those of the document that Snapshot makes: what has none
// does not outlive the process.
type Identity struct {
	ID ID `json:"id"`
	Settings

	// GenerationID tells an identity from an earlier one of the same name.
	GenerationID string `json:"generationId"`
	// ETag changes with every change of Settings, and with nothing else; it
	// stands without quotes.
	ETag string `json:"etag"`
	// ModelID is what the identity announced at its latest login; empty if
	// it announced none.
	ModelID string `json:"modelId"`
	// Connected says whether a device side is logged in.
	Connected bool `json:"-"`
	// When Disabled and Connected changed, and when the identity was last
	// heard of. Zero is never.
	StatusUpdated     time.Time `json:"statusUpdated"`
	ConnectionUpdated time.Time `json:"connectionUpdated"`
	LastActivity      time.Time `json:"lastActivity"`
	// Revision is that of the latest change of the identity or its twin; see
	// Store.Keep.
	Revision int64 `json:"-"`
}

// Settings are what a service sets of an identity.
type Settings struct {
	Authentication

	// Disabled keeps a device, and its modules, from logging in.
	Disabled bool `json:"disabled"`
	// StatusReason is the service's own note, at most 128 bytes.
	StatusReason string `json:"statusReason"`
	// IoTEdge marks an IoT Edge device.
	IoTEdge bool `json:"iotEdge"`
	// DeviceScope names the edge device a device belongs to. That of an IoT
	// Edge device is its own, made by the store if empty.
	DeviceScope string `json:"deviceScope"`
	// ManagedBy is who looks after a module.
	ManagedBy string `json:"managedBy"`
}

// Authentication types, as the REST API writes them.
const (
	AuthSAS        = "sas"
	AuthSelfSigned = "selfSigned"
	AuthAuthority  = "certificateAuthority"
)

// Authentication is how an identity proves who it is.
type Authentication struct {
	// Type is one of AuthSAS (also if empty), AuthSelfSigned, AuthAuthority.
	Type string `json:"authentication"`
	// PrimaryKey and SecondaryKey are the symmetric keys, base64 of 16 to 64
	// bytes. They are secrets. Of type AuthSAS, the store makes those that
	// are empty; of other types there are none.
	PrimaryKey   string `json:"primaryKey"`
	SecondaryKey string `json:"secondaryKey"`
	// Thumbprints of certificates, of type AuthSelfSigned.
	PrimaryThumbprint   string `json:"primaryThumbprint"`
	SecondaryThumbprint string `json:"secondaryThumbprint"`
}

// withDefaults checks the settings and fills in what a service may leave out.
func (s Settings) withDefaults(id ID, generation string) (Settings, error) {
	if len(s.StatusReason) > maxStatusReason {
		return Settings{}, fmt.Errorf("%w: statusReason is longer than %d bytes", ErrSettings, maxStatusReason)
	}
	if s.IoTEdge && s.DeviceScope == "" {
		s.DeviceScope = "ms-azure-iot-edge://" + id.Device + "-" + generation
	}
	var err error
	s.Authentication, err = s.Authentication.withDefaults()
	return s, err
}

func (a Authentication) withDefaults() (Authentication, error) {
	switch a.Type {
	case "", AuthSAS:
		a.Type, a.PrimaryThumbprint, a.SecondaryThumbprint = AuthSAS, "", ""
	case AuthSelfSigned:
		a.PrimaryKey, a.SecondaryKey = "", ""
		return a, nil
	case AuthAuthority:
		return Authentication{Type: a.Type}, nil
	default:
		return Authentication{}, fmt.Errorf("%w: authentication type %.20q is unknown", ErrSettings, a.Type)
	}
	for _, key := range []*string{&a.PrimaryKey, &a.SecondaryKey} {
		if *key == "" {
			*key = newKey()
		}
		if raw, err := base64.StdEncoding.DecodeString(*key); err != nil || len(raw) < minKeySize || len(raw) > maxKeySize {
			return Authentication{}, fmt.Errorf("%w: a key is not base64 of %d to %d bytes", ErrSettings, minKeySize, maxKeySize)
		}
	}
	return a, nil
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
