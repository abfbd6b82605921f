package hubfailure_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/hubfailure"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/hubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// want fails unless err becomes a failure with this hop and code.
func want(t *testing.T, err error, hop failure.Hop, code reason.Code) {
	t.Helper()
	if f := hubfailure.Of(err); f == nil || f.Hop != hop || f.Reason != code {
		t.Errorf("%v becomes %v, want %s at %s", err, f, code, hop)
	}
}

// The hub's answers, by number, name and status.
func TestOf_answers(t *testing.T) {
	for _, try := range []struct {
		e    hubclient.Error
		hop  failure.Hop
		code reason.Code
	}{
		{hubclient.Error{Status: 404, Number: 404001}, failure.Module, reason.ModuleUnknown},
		{hubclient.Error{Status: 404, Code: "ModuleNotFound"}, failure.Module, reason.ModuleUnknown},
		{hubclient.Error{Status: 404, Number: 404103, Code: "DeviceNotOnline"}, failure.Module, reason.ModuleOffline},
		{hubclient.Error{Status: 404, Code: "DeviceNotOnlineException"}, failure.Module, reason.ModuleOffline},
		{hubclient.Error{Status: 404, Number: 404104}, failure.Module, reason.ModuleOffline},
		{hubclient.Error{Status: 404}, failure.Hub, reason.HubAnswer},
		{hubclient.Error{Status: 401, Number: 401003}, failure.Hub, reason.HubLogin},
		{hubclient.Error{Status: 403}, failure.Hub, reason.HubLogin},
		{hubclient.Error{Status: 403, Number: 403002}, failure.Hub, reason.HubThrottled},
		{hubclient.Error{Status: 429, Number: 429001}, failure.Hub, reason.HubThrottled},
		{hubclient.Error{Status: 429, Number: 429002}, failure.Hub, reason.HubThrottled},
		{hubclient.Error{Status: 504, Number: 504101}, failure.Module, reason.ModuleTimeout},
		{hubclient.Error{Status: 504}, failure.Module, reason.ModuleTimeout},
		{hubclient.Error{Status: 502, Code: "BadDeviceResponse"}, failure.Module, reason.ModuleAnswer},
		{hubclient.Error{Status: 500, Number: 500001}, failure.Hub, reason.HubUnavailable},
		{hubclient.Error{Status: 503}, failure.Hub, reason.HubUnavailable},
		{hubclient.Error{Status: 407}, failure.Hub, reason.ProxyLogin},
		{hubclient.Error{Status: 307}, failure.Hub, reason.HubAnswer},
		{hubclient.Error{Status: 400, Number: 400004}, failure.Hub, reason.HubAnswer},
	} {
		want(t, fmt.Errorf("invoke: %w", &try.e), try.hop, try.code)
	}
}

func TestOf_othersAndNil(t *testing.T) {
	if f := hubfailure.Of(nil); f != nil {
		t.Errorf("nil becomes %v", f)
	}
	own := failure.New(failure.Camera, reason.CameraRefused, nil)
	if f := hubfailure.Of(fmt.Errorf("x: %w", own)); f != own {
		t.Errorf("a failure becomes %v", f)
	}
	want(t, &net.OpError{Op: "dial", Err: syscall.EMFILE}, failure.Gateway, reason.NoResources)
	want(t, errors.New("reset"), failure.Hub, reason.HubLost)
}

// What a hub emulator answers.
func TestOf_emulator(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	_, _, err := hub.Client.Invoke(t.Context(), hub.ID, hubclient.Method{Name: "x"})
	want(t, err, failure.Module, reason.ModuleOffline)
	_, err = hub.Client.Twin(t.Context(), hubclient.Identity{Device: "unknown"})
	want(t, err, failure.Module, reason.ModuleUnknown)
	_, err = hub.Client.Twin(t.Context(), hubclient.Identity{Device: hub.ID.Device, Module: "unknown"})
	want(t, err, failure.Module, reason.ModuleUnknown)
	before, _, _ := strings.Cut(hub.OwnerConnectionString(), "SharedAccessKey=")
	_, err = dial(t, before+"SharedAccessKey=a2V5", hub.CA().Pool())
	want(t, err, failure.Hub, reason.HubLogin)
	hub.Stop(t)
	_, err = hub.Client.Twin(t.Context(), hub.ID)
	want(t, err, failure.Hub, reason.HubRefused)
}

// dial reads a twin with a new client.
func dial(t *testing.T, connectionString string, roots *x509.CertPool) (hubclient.Twin, error) {
	t.Helper()
	c, err := hubclient.New(connectionString, hubclient.Options{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Twin(t.Context(), hubclient.Identity{Device: "d"})
}

const policy = ";SharedAccessKeyName=p;SharedAccessKey=a2V5"

// The ways on which no hub answers.
func TestOf_connections(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<html>not a hub</html>")
	}))
	defer server.Close()
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	address := server.Listener.Addr().String()
	_, err := dial(t, "HostName="+address+policy, trusted)
	want(t, err, failure.Hub, reason.HubAnswer)
	_, err = dial(t, "HostName="+address+policy, x509.NewCertPool())
	want(t, err, failure.Hub, reason.HubTLSCA)
	_, port, _ := net.SplitHostPort(address)
	_, err = dial(t, "HostName=localhost:"+port+policy, trusted) // httptest's certificate is for 127.0.0.1
	want(t, err, failure.Hub, reason.HubTLSName)

	_, err = dial(t, "HostName=hub.invalid"+policy, nil) // RFC 6761, 6.4
	want(t, err, failure.Hub, reason.HubDNS)

	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, err = dial(t, "HostName="+plain.Listener.Addr().String()+policy, nil)
	want(t, err, failure.Hub, reason.HubTLS)
}

func TestOf_certificateTimes(t *testing.T) {
	ca, err := localca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(ca.CertPEM())
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for code, at := range map[reason.Code]time.Time{reason.HubTLSExpired: time.Now().Add(-time.Hour), reason.HubTLSNotYet: time.Now().Add(2 * time.Hour)} {
		shifted := *cert
		shifted.NotBefore, shifted.NotAfter = at.Add(-time.Minute), at
		err := x509.CertificateInvalidError{Cert: &shifted, Reason: x509.Expired}
		want(t, &tls.CertificateVerificationError{Err: err}, failure.Hub, code)
	}
}

func TestOf_silence(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	want(t, fmt.Errorf("reach the hub: %w", ctx.Err()), failure.Hub, reason.HubTimeout)
}

// A proxy that is down, and one that requires a login.
func TestOf_proxy(t *testing.T) {
	want(t, fmt.Errorf("reach the hub: %w", &net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}), failure.Hub, reason.ProxyDown)
	want(t, errors.New("reach the hub at h: Proxy Authentication Required"), failure.Hub, reason.ProxyLogin)
}
