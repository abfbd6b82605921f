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

// Types of Authentication: how a device or module proves its identity.
const (
	AuthSAS        = "sas"
	AuthSelfSigned = "selfSigned"
	AuthAuthority  = "certificateAuthority"
)

// Values of Registration.Status. A disabled device cannot connect.
const (
	StatusEnabled  = "enabled"
	StatusDisabled = "disabled"
)

// Registration is a device or module in the hub's registry ("Understand the identity
// registry in your IoT hub"). It may contain keys; see WithoutKeys. Times have the hub's
// format, with or without a zone; year 1 means never.
type Registration struct {
	DeviceID        string         `json:"deviceId"`
	ModuleID        string         `json:"moduleId,omitempty"`
	ManagedBy       string         `json:"managedBy,omitempty"` // of modules
	Status          string         `json:"status,omitempty"`    // of devices, as StatusReason
	StatusReason    string         `json:"statusReason,omitempty"`
	Authentication  Authentication `json:"authentication"`
	Capabilities    *Capabilities  `json:"capabilities,omitempty"` // of devices, as both scopes
	DeviceScope     string         `json:"deviceScope,omitempty"`
	ParentScopes    []string       `json:"parentScopes,omitempty"`
	GenerationID    string         `json:"generationId,omitempty"` // only the hub sets this and the fields below
	ETag            string         `json:"etag,omitempty"`
	ConnectionState string         `json:"connectionState,omitempty"`
	LastActivity    string         `json:"lastActivityTime,omitempty"`
}

// Authentication is how a device or module logs in. An empty type means AuthSAS.
type Authentication struct {
	Type         string        `json:"type,omitempty"`
	SymmetricKey *SymmetricKey `json:"symmetricKey,omitempty"` // if nil, the hub generates the keys
	Thumbprint   *Thumbprint   `json:"x509Thumbprint,omitempty"`
}

// SymmetricKey has two keys in base64, each of which is valid. They are secrets.
type SymmetricKey struct {
	Primary   string `json:"primaryKey"`
	Secondary string `json:"secondaryKey"`
}

// String hides the keys.
func (SymmetricKey) String() string { return "***" }

// GoString hides the keys.
func (SymmetricKey) GoString() string { return "***" }

// Thumbprint has the SHA-1 or SHA-256 digests, in hex, of the certificates that the hub
// accepts.
type Thumbprint struct {
	Primary   string `json:"primaryThumbprint,omitempty"`
	Secondary string `json:"secondaryThumbprint,omitempty"`
}

// Capabilities are the capabilities of a device.
type Capabilities struct {
	IoTEdge bool `json:"iotEdge"`
}

// ID returns the identity.
func (r Registration) ID() Identity { return Identity{Device: r.DeviceID, Module: r.ModuleID} }

// IsEdge reports whether it is an IoT Edge device.
func (r Registration) IsEdge() bool { return r.Capabilities != nil && r.Capabilities.IoTEdge }

// WithoutKeys returns a copy without secrets.
func (r Registration) WithoutKeys() Registration {
	r.Authentication.SymmetricKey = nil
	return r
}

// ConnectionString returns the connection string of the device or module. It is a secret
// unless authentication is by certificate. host is the hub's name without a port, because
// devices connect to fixed ports. gateway is the host name of the IoT Edge device to
// connect through; empty for a direct connection to the hub.
func (r Registration) ConnectionString(host, gateway string) (string, error) {
	parts := []string{"HostName=" + host, "DeviceId=" + r.DeviceID}
	if r.ModuleID != "" {
		parts = append(parts, "ModuleId="+r.ModuleID)
	}
	switch key := r.Authentication.SymmetricKey; {
	case r.Authentication.Type == AuthSelfSigned || r.Authentication.Type == AuthAuthority:
		parts = append(parts, "x509=true")
	case key == nil || key.Primary == "":
		return "", errors.New("the hub returned no key of " + r.ID().String())
	default:
		parts = append(parts, "SharedAccessKey="+key.Primary)
	}
	if gateway != "" {
		parts = append(parts, "GatewayHostName="+gateway)
	}
	return strings.Join(parts, ";"), nil
}

// Register creates a device or module and returns it with its keys. If it exists, the
// error is an *Error with status 409.
func (c *Client) Register(ctx context.Context, r Registration) (Registration, error) {
	if a := &r.Authentication; a.Type == AuthSAS && a.SymmetricKey == nil {
		a.SymmetricKey = &SymmetricKey{} // requests keys, as Microsoft's Node SDK does
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var made Registration
	if _, err := c.do(ctx, request{method: http.MethodPut, path: r.ID().path("devices"), body: r}, &made); err != nil {
		return Registration{}, fmt.Errorf("add %s: %w", r.ID(), err)
	}
	return made, nil
}

// Registration returns a device or module with its keys.
func (c *Client) Registration(ctx context.Context, id Identity) (Registration, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var r Registration
	if _, err := c.do(ctx, request{method: http.MethodGet, path: id.path("devices")}, &r); err != nil {
		return Registration{}, fmt.Errorf("read %s: %w", id, err)
	}
	return r, nil
}

// Unregister removes a module, or a device with its modules, if the hub still has this
// etag; an empty one matches any. If the etag differs, the error is an *Error with status
// 412.
func (c *Client) Unregister(ctx context.Context, id Identity, etag string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r := request{method: http.MethodDelete, path: id.path("devices"), header: ifMatch(etag)}
	if _, err := c.do(ctx, r, nil); err != nil {
		return fmt.Errorf("remove %s: %w", id, err)
	}
	return nil
}

// Modules returns the modules of a device with their keys. A device has 50 at most.
func (c *Client) Modules(ctx context.Context, device string) ([]Registration, error) {
	list, err := c.list(ctx, "/devices/"+url.PathEscape(device)+"/modules")
	if err != nil {
		return nil, fmt.Errorf("list modules of %s: %w", device, err)
	}
	return list, nil
}

// maxListed is the number of devices that the registry lists at most. The list has no
// pages ("Azure IoT Hub REST API", Devices - Get Devices).
const maxListed = 1000

// Devices returns all devices without keys. For 1,000 devices or more it runs a query,
// which has pages but may be some minutes out of date.
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
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var list []Registration
	_, err := c.do(ctx, request{method: http.MethodGet, path: path}, &list)
	return list, err
}

// queryDevices returns devices from their twins, which have most of the registry's
// fields.
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
		r.ETag = twin.DeviceETag // the twin has an etag of its own
		r.Authentication = Authentication{Type: twin.AuthenticationType, Thumbprint: twin.Thumbprint}
		list = append(list, r)
	}
	return list, nil
}
