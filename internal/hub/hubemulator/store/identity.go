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
	// keySize is the size of a symmetric key that the store generates, in bytes. A
	// service may set keys from minKeySize to maxKeySize.
	keySize    = 32
	minKeySize = 16
	maxKeySize = 64
	// maxIDLength and idMarks are IoT Hub's rules for ids (Microsoft, "Understand the
	// identity registry in your IoT hub", section "Device identity properties").
	maxIDLength = 128
	idMarks     = "-.+%_#*?!(),:=@$'"
	// maxStatusReason is in bytes (same section).
	maxStatusReason = 128
)

// Errors of identities; match them with errors.Is.
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

// ID names a device, or a module of a device. It is case-sensitive.
type ID struct {
	Device string `json:"device"`
	Module string `json:"module,omitempty"` // empty for the device itself
}

// String returns "device" or "device/module". That is also the MQTT client id of the
// identity.
func (id ID) String() string {
	if id.Module == "" {
		return id.Device
	}
	return id.Device + "/" + id.Module
}

// Path returns the resource path of the identity in its hub: "devices/{device}" or "devices/{device}/modules/{module}".
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

// CheckModule returns ErrInvalidID, wrapped, for a name that a module cannot have.
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

// Identity is a device or module of the registry. The JSON names of members, here and
// below, are those of the document of Snapshot. A member without a JSON name is lost when
// the process ends.
type Identity struct {
	ID ID `json:"id"`
	Settings

	// GenerationID distinguishes an identity from an earlier one of the same name.
	GenerationID string `json:"generationId"`
	// ETag changes with every change of Settings, and only then. It has no quotes.
	ETag string `json:"etag"`
	// ModelID is the model that the identity announced at its latest login; empty if
	// none.
	ModelID string `json:"modelId"`
	// Connected reports whether the device or module is logged in.
	Connected bool `json:"-"`
	// The times of the latest change of Disabled and of Connected, and of the latest
	// activity. Zero means never.
	StatusUpdated     time.Time `json:"statusUpdated"`
	ConnectionUpdated time.Time `json:"connectionUpdated"`
	LastActivity      time.Time `json:"lastActivity"`
	// Revision is the revision of the latest change of the identity or its twin; see
	// Store.Keep.
	Revision int64 `json:"-"`
}

// Settings are the properties of an identity that a service sets.
type Settings struct {
	Authentication

	// Disabled prevents a device and its modules from logging in.
	Disabled bool `json:"disabled"`
	// StatusReason is a note of the service, at most 128 bytes.
	StatusReason string `json:"statusReason"`
	// IoTEdge marks an IoT Edge device.
	IoTEdge bool `json:"iotEdge"`
	// DeviceScope names the IoT Edge device that a device belongs to. An IoT Edge device
	// has its own scope, which the store generates if it is empty.
	DeviceScope string `json:"deviceScope"`
	// ManagedBy names the owner of a module, for example IoT Edge.
	ManagedBy string `json:"managedBy"`
}

// Authentication types, as the REST API writes them.
const (
	AuthSAS        = "sas"
	AuthSelfSigned = "selfSigned"
	AuthAuthority  = "certificateAuthority"
)

// Authentication is how an identity authenticates.
type Authentication struct {
	// Type is one of AuthSAS (also if empty), AuthSelfSigned, AuthAuthority.
	Type string `json:"authentication"`
	// PrimaryKey and SecondaryKey are the symmetric keys, base64 of 16 to 64 bytes. They
	// are secrets. For type AuthSAS, the store generates empty ones. Other types have no
	// keys.
	PrimaryKey   string `json:"primaryKey"`
	SecondaryKey string `json:"secondaryKey"`
	// Thumbprints of certificates, for type AuthSelfSigned.
	PrimaryThumbprint   string `json:"primaryThumbprint"`
	SecondaryThumbprint string `json:"secondaryThumbprint"`
}

// withDefaults checks the settings and sets the optional ones.
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

// newGenerationID returns 18 decimal digits, the form of IoT Hub's generation ids.
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
