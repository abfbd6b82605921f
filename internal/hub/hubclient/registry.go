package hubclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// How a device or module proves who it is.
const (
	AuthSAS        = "sas"
	AuthSelfSigned = "selfSigned"
	AuthAuthority  = "certificateAuthority"
)

// What a device may do.
const (
	StatusEnabled  = "enabled"
	StatusDisabled = "disabled"
)

// Registration is what the hub's registry has of a device or module ("Understand the
// identity registry in your IoT hub"). It may hold keys; see WithoutKeys. Times are
// as the hub writes them, with and without a zone; year 1 is never.
type Registration struct {
	DeviceID        string         `json:"deviceId"`
	ModuleID        string         `json:"moduleId,omitempty"`
	ManagedBy       string         `json:"managedBy,omitempty"` // of modules
	Status          string         `json:"status,omitempty"`    // these two of devices
	StatusReason    string         `json:"statusReason,omitempty"`
	Authentication  Authentication `json:"authentication"`
	Capabilities    *Capabilities  `json:"capabilities,omitempty"` // these three of devices
	DeviceScope     string         `json:"deviceScope,omitempty"`
	ParentScopes    []string       `json:"parentScopes,omitempty"`
	GenerationID    string         `json:"generationId,omitempty"` // the hub alone sets what follows
	ETag            string         `json:"etag,omitempty"`
	ConnectionState string         `json:"connectionState,omitempty"`
	LastActivity    string         `json:"lastActivityTime,omitempty"`
}

// Authentication is how a device or module logs in. A type that is empty is AuthSAS.
type Authentication struct {
	Type         string        `json:"type,omitempty"`
	SymmetricKey *SymmetricKey `json:"symmetricKey,omitempty"` // the hub makes it, if nil
	Thumbprint   *Thumbprint   `json:"x509Thumbprint,omitempty"`
}

// SymmetricKey has two keys, each base64 and as good as the other. They are secrets.
type SymmetricKey struct {
	Primary   string `json:"primaryKey"`
	Secondary string `json:"secondaryKey"`
}

// String tells no key.
func (SymmetricKey) String() string { return "***" }

// GoString tells no key.
func (SymmetricKey) GoString() string { return "***" }

// Thumbprint has the SHA-1 or SHA-256 digests, in hex, of the certificates that are
// taken.
type Thumbprint struct {
	Primary   string `json:"primaryThumbprint,omitempty"`
	Secondary string `json:"secondaryThumbprint,omitempty"`
}

// Capabilities of a device.
type Capabilities struct {
	IoTEdge bool `json:"iotEdge"`
}

// ID addresses it.
func (r Registration) ID() Identity { return Identity{Device: r.DeviceID, Module: r.ModuleID} }

// IsEdge says whether it is an IoT Edge device.
func (r Registration) IsEdge() bool { return r.Capabilities != nil && r.Capabilities.IoTEdge }

// WithoutKeys is a copy that may be shown.
func (r Registration) WithoutKeys() Registration {
	r.Authentication.SymmetricKey = nil
	return r
}

// ConnectionString is what the device or module connects with; it is a secret unless
// authentication is by certificate. host is the hub's name, without a port: those of
// the device side are fixed. gateway is the edge device's to connect through; empty
// for the hub itself.
func (r Registration) ConnectionString(host, gateway string) (string, error) {
	parts := []string{"HostName=" + host, "DeviceId=" + r.DeviceID}
	if r.ModuleID != "" {
		parts = append(parts, "ModuleId="+r.ModuleID)
	}
	switch key := r.Authentication.SymmetricKey; {
	case r.Authentication.Type == AuthSelfSigned || r.Authentication.Type == AuthAuthority:
		parts = append(parts, "x509=true")
	case key == nil || key.Primary == "":
		return "", errors.New("the hub told no key of " + r.ID().String())
	default:
		parts = append(parts, "SharedAccessKey="+key.Primary)
	}
	if gateway != "" {
		parts = append(parts, "GatewayHostName="+gateway)
	}
	return strings.Join(parts, ";"), nil
}

// Register makes a device or module and returns it with the keys it got. One that
// exists is an *Error with status 409.
func (c *Client) Register(ctx context.Context, r Registration) (Registration, error) {
	if a := &r.Authentication; a.Type == AuthSAS && a.SymmetricKey == nil {
		a.SymmetricKey = &SymmetricKey{} // Microsoft's Node SDK asks for keys so
	}
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	var made Registration
	if _, err := c.do(ctx, request{method: http.MethodPut, path: r.ID().path("devices"), body: r}, &made); err != nil {
		return Registration{}, fmt.Errorf("add %s: %w", r.ID(), err)
	}
	return made, nil
}

// Registration reads what the registry has of a device or module, with its keys.
func (c *Client) Registration(ctx context.Context, id Identity) (Registration, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	var r Registration
	if _, err := c.do(ctx, request{method: http.MethodGet, path: id.path("devices")}, &r); err != nil {
		return Registration{}, fmt.Errorf("read %s: %w", id, err)
	}
	return r, nil
}

// Unregister removes a module, or a device with its modules, if its etag is etag; if
// that is empty, whatever it is. Another etag is an *Error with status 412.
func (c *Client) Unregister(ctx context.Context, id Identity, etag string) error {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	r := request{method: http.MethodDelete, path: id.path("devices"), header: ifMatch(etag)}
	if _, err := c.do(ctx, r, nil); err != nil {
		return fmt.Errorf("remove %s: %w", id, err)
	}
	return nil
}

// Modules lists the modules of a device, with their keys. There are 50 at most.
func (c *Client) Modules(ctx context.Context, device string) ([]Registration, error) {
	list, err := c.list(ctx, "/devices/"+url.PathEscape(device)+"/modules")
	if err != nil {
		return nil, fmt.Errorf("list modules of %s: %w", device, err)
	}
	return list, nil
}

// maxListed is how many devices the registry lists, and it has no pages ("Azure IoT
// Hub REST API", Devices - Get Devices).
const maxListed = 1000

// Devices lists all devices, without keys. A registry of 1,000 or more is asked by a
// query, which has pages but may lag behind by some minutes.
func (c *Client) Devices(ctx context.Context) ([]Registration, error) {
	list, err := c.list(ctx, "/devices")
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	if len(list) >= maxListed {
		return c.queryDevices(ctx)
	}
	for i, r := range list {
		list[i] = r.WithoutKeys()
	}
	return list, nil
}

func (c *Client) list(ctx context.Context, path string) ([]Registration, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	var list []Registration
	_, err := c.do(ctx, request{method: http.MethodGet, path: path}, &list)
	return list, err
}

// queryDevices takes devices from their twins, which have most of what the registry
// has.
func (c *Client) queryDevices(ctx context.Context) ([]Registration, error) {
	var list []Registration
	for document, err := range c.Query(ctx, "SELECT * FROM devices") {
		if err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		var twin struct {
			Registration
			DeviceETag         string      `json:"deviceEtag"`
			AuthenticationType string      `json:"authenticationType"`
			Thumbprint         *Thumbprint `json:"x509Thumbprint"`
		}
		if err := json.Unmarshal(document, &twin); err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		r := twin.Registration
		r.ETag = twin.DeviceETag // a twin's etag is another
		r.Authentication = Authentication{Type: twin.AuthenticationType, Thumbprint: twin.Thumbprint}
		list = append(list, r)
	}
	return list, nil
}
