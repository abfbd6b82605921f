// Package hubclient is a client of IoT Hub's service REST API, for the operations that
// the project uses: the registry of devices and modules, twins, direct methods, queries
// and deployments. It is the project's only REST client for hubs, and works with a real
// hub and with the hub emulator.
//
// The package is not specific to this project's module: it treats method payloads and
// twins as JSON, and knows none of their names.
//
// No error contains a key, neither the policy's nor a device's. The package does not
// log.
package hubclient

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	apiVersion     = "2021-04-12"
	tokenLifetime  = time.Hour
	maxResponse    = 32 << 20 // bytes, for a full page of a query or of devices; a twin has some 100 KB at most
	requestTimeout = 10 * time.Second
)

// Options are optional settings of a client.
type Options struct {
	Roots *x509.CertPool // authorities of the hub's certificate; the system's if nil
}

// Client calls one hub. It is safe for concurrent use.
type Client struct {
	host   string // with a port, if the connection string has one
	policy string
	key    []byte
	http   http.Client
}

// New returns a client for a connection string of a hub with a shared access policy:
// HostName=...;SharedAccessKeyName=...;SharedAccessKey=... The host may have a port, as
// for a local emulator. No error contains the connection string.
func New(connectionString string, o Options) (*Client, error) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(connectionString, ";") {
		name, value, _ := strings.Cut(part, "=") // a key may end in =
		parts[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	var missing []string
	for _, name := range []string{"HostName", "SharedAccessKeyName", "SharedAccessKey"} {
		if parts[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("hub connection string: no %s", strings.Join(missing, ", "))
	}
	if u, err := url.Parse("https://" + parts["HostName"]); err != nil || u.Host != parts["HostName"] {
		return nil, errors.New("hub connection string: HostName is not a host or host:port")
	}
	key, err := base64.StdEncoding.DecodeString(parts["SharedAccessKey"])
	if err != nil {
		return nil, errors.New("hub connection string: SharedAccessKey is not base64")
	}
	return &Client{
		host: parts["HostName"], policy: parts["SharedAccessKeyName"], key: key,
		http: http.Client{
			CheckRedirect: noRedirect,
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: requestTimeout}).DialContext,
				TLSClientConfig:     &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout: requestTimeout,
				IdleConnTimeout:     time.Minute,
			},
		},
	}, nil
}

// noRedirect makes the client return a redirect as the response. A hub sends none, and
// payload and token must not go to another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Host returns the HostName of the connection string.
func (c *Client) Host() string { return c.host }

// Identity names a module, or a device if Module is empty.
type Identity struct{ Device, Module string }

// path returns the identity's URL path within a collection: "twins" or "devices".
func (i Identity) path(collection string) string {
	p := "/" + collection + "/" + url.PathEscape(i.Device)
	if i.Module != "" {
		p += "/modules/" + url.PathEscape(i.Module)
	}
	return p
}

// String returns "device" or "device/module".
func (i Identity) String() string {
	if i.Module == "" {
		return i.Device
	}
	return i.Device + "/" + i.Module
}

// request is one call of the API.
type request struct {
	method string
	path   string // escaped
	header http.Header
	body   any // sent as JSON; no body if nil
}

// do sends one request and decodes the JSON of a 2xx response into answer, unless answer
// is nil. It returns the response's header. Another status is an *Error.
func (c *Client) do(ctx context.Context, r request, answer any) (http.Header, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.transportError(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, c.transportError(err)
	case resp.StatusCode/100 != 2:
		return nil, c.responseError(resp, b)
	case answer == nil:
		return resp.Header, nil
	case len(b) > maxResponse:
		return nil, fmt.Errorf("the response of %s is larger than %d MB", c.host, maxResponse>>20)
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return nil, fmt.Errorf("the response of %s is not an IoT Hub's JSON: %w", c.host, err)
	}
	return resp.Header, nil
}

// transportError wraps an error of the connection to the hub. It removes the URL that
// net/http adds, because the host says as much.
func (c *Client) transportError(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("reach the hub at %s: %w", c.host, err)
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
	}
	u := "https://" + c.host + r.path + "?api-version=" + apiVersion
	req, err := http.NewRequestWithContext(ctx, r.method, u, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, r.header)
	req.Header.Set("Authorization", c.token(time.Now().Add(tokenLifetime)))
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	return req, nil
}

// ifMatch returns the header that makes a change depend on an etag; any etag matches if
// it is empty. The header needs quotes, which etags in the hub's bodies lack.
func ifMatch(etag string) http.Header {
	if etag == "" {
		etag = "*"
	}
	return http.Header{"If-Match": {`"` + strings.Trim(etag, `"`) + `"`}}
}

// token returns a SAS token for the whole hub ("Control access with shared access
// signatures").
func (c *Client) token(expiry time.Time) string {
	resource, se := url.QueryEscape(c.host), strconv.FormatInt(expiry.Unix(), 10)
	mac := hmac.New(sha256.New, c.key)
	_, _ = mac.Write([]byte(resource + "\n" + se))
	sig := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(sig) + "&se=" + se + "&skn=" + url.QueryEscape(c.policy)
}
