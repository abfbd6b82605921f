package edge

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/amenzhinsky/iothub/common"
)

const (
	workloadVersion = "2018-06-28" // the oldest with both calls; every IoT Edge knows it
	workloadTimeout = 10 * time.Second
	workloadAnswer  = 1 << 20 // bytes at most
)

// workload is the IoT Edge workload API of one module. The library's own client is
// not used: it has no timeout, does not look at the HTTP status, does not escape
// ids, and shares one socket path between all clients of a process.
type workload struct {
	id   Identity
	base string // URL without a trailing slash
	http http.Client
}

func newWorkload(id Identity) (*workload, error) {
	u, err := url.Parse(id.WorkloadURI)
	if err != nil {
		return nil, fmt.Errorf("workload URI: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // two calls an hour
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w := &workload{id: id, http: http.Client{Transport: transport, Timeout: workloadTimeout, CheckRedirect: stay}}
	switch u.Scheme {
	case "unix":
		socket := u.Host + u.Path
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
		w.base = "http://workload"
	case "http":
		w.base = strings.TrimSuffix(id.WorkloadURI, "/")
	default:
		return nil, fmt.Errorf("workload URI has scheme %q, want unix or http", u.Scheme)
	}
	return w, nil
}

// trustBundle is the certificates that sign the edge hub's. Without it there is no
// connection: never unverified TLS.
func (w *workload) trustBundle(ctx context.Context) (*x509.CertPool, error) {
	var answer struct {
		Certificate string `json:"certificate"`
	}
	if err := w.call(ctx, http.MethodGet, "/trust-bundle", nil, &answer); err != nil {
		return nil, fmt.Errorf("workload API trust bundle: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(answer.Certificate)) {
		return nil, errors.New("workload API trust bundle: no certificate in it")
	}
	return pool, nil
}

// token has the workload API sign a SAS token for the module (IoT Hub, "Control
// access with shared access signatures": resource, newline, expiry).
func (w *workload) token(ctx context.Context, lifetime time.Duration) (*common.SharedAccessSignature, error) {
	resource := w.id.HubHost + "/devices/" + url.QueryEscape(w.id.DeviceID) + "/modules/" + url.QueryEscape(w.id.ModuleID)
	expiry := time.Now().Add(lifetime)
	text := url.QueryEscape(resource) + "\n" + strconv.FormatInt(expiry.Unix(), 10)
	request := map[string]string{
		"keyId": "primary", "algo": "HMACSHA256",
		"data": base64.StdEncoding.EncodeToString([]byte(text)),
	}
	var answer struct {
		Digest string `json:"digest"`
	}
	path := "/modules/" + url.PathEscape(w.id.ModuleID) + "/genid/" + url.PathEscape(w.id.GenerationID) + "/sign"
	if err := w.call(ctx, http.MethodPost, path, request, &answer); err != nil {
		return nil, fmt.Errorf("workload API sign: %w", err)
	}
	if answer.Digest == "" {
		return nil, errors.New("workload API sign: no digest in the answer")
	}
	return &common.SharedAccessSignature{Sr: resource, Sig: answer.Digest, Se: expiry}, nil
}

// call sends request as JSON, if there is one, and reads a 200 answer.
func (w *workload) call(ctx context.Context, method, path string, request, answer any) error {
	var body io.Reader
	if request != nil {
		b, err := json.Marshal(request)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, w.base+path+"?api-version="+workloadVersion, body)
	if err != nil {
		return err
	}
	if request != nil {
		r.Header.Set("Content-Type", "application/json") // IoT Edge 1.2 and newer drop any other body
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, workloadAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var failure struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(b, &failure) // a failure without words is told by its status
		return fmt.Errorf("status %d %s", resp.StatusCode, failure.Message)
	}
	return json.Unmarshal(b, answer)
}
