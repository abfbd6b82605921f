package hubconn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the timeout of a connect that is expected to take milliseconds.
const patience = 30 * time.Second

var protocols = []hubconn.Protocol{hubconn.MQTT, hubconn.MQTTWS}

// site is a hub emulator with one module, and the options to connect as it, through the
// gateway.
type site struct {
	*hubtest.Hub
	o   hubconn.Options
	log *logtest.Record
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{log: logtest.New()}
	s.Hub = hubtest.Start(t, s.log)
	s.o = hubconn.Options{
		Identity: hubconn.Identity{
			HubHost: hubtest.HubName, GatewayHost: hubtest.GatewayName, DeviceID: s.ID.Device, ModuleID: s.ID.Module,
			Auth: hubconn.Workload{URI: s.WorkloadURI(), GenerationID: s.Generation},
		},
		Log: zerolog.New(s.log),
	}
	return s
}

// address is where the emulator serves the protocol.
func (s *site) address(p hubconn.Protocol) string {
	if p == hubconn.MQTTWS {
		return s.HTTPSAddr()
	}
	return s.MQTTAddr()
}

// anyKey authenticates by a key that no hub has to know, and verifies by the site's CA.
func (s *site) anyKey() {
	s.o.Identity.Auth = hubconn.SymmetricKey{
		Key:   func() ([]byte, error) { return []byte("key"), nil },
		Roots: s.roots,
	}
}

func (s *site) roots() (*x509.CertPool, error) { return s.CA().Pool(), nil }

// direct makes the module dial the hub instead of the gateway, with its own key.
func (s *site) direct(t *testing.T) {
	t.Helper()
	r, err := s.Client.Registration(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.o.Identity.GatewayHost = ""
	s.o.Identity.Auth = hubconn.SymmetricKey{
		Key:   func() ([]byte, error) { return base64.StdEncoding.DecodeString(r.Authentication.SymmetricKey.Primary) },
		Roots: s.roots,
	}
}

// tlsServer returns the address of a server with a certificate for the gateway.
func (s *site) tlsServer(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{issue(t, s.CA(), hubtest.GatewayName)}, MinVersion: tls.VersionTLS12}
	return nettest.Listen(t, func(conn net.Conn) { serve(tls.Server(conn, config)) })
}

func issue(t *testing.T, ca *localca.CA, name string) tls.Certificate {
	t.Helper()
	cert, err := ca.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (s *site) dialer(t *testing.T) *hubconn.Dialer {
	t.Helper()
	d, err := hubconn.New(s.o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Wait)
	return d
}

// connect uses one connection by p to address as far as it goes, for at most timeout.
func (s *site) connect(t *testing.T, p hubconn.Protocol, address string, timeout time.Duration) error {
	t.Helper()
	d := s.dialer(t)
	return use(t, d, d.Route(p, address), timeout, func(*hubconn.Conn) error { return nil })
}

// use connects, subscribes, reads the twin and calls then. It returns the error of the
// first step that failed, or the reason why the connection ended.
func use(t *testing.T, d *hubconn.Dialer, r hubconn.Route, timeout time.Duration, then func(*hubconn.Conn) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	credentials, err := d.Credentials(ctx)
	if err != nil {
		return err
	}
	prepared, err := d.Dial(ctx, r, credentials)
	if err != nil {
		return err
	}
	conn, err := prepared.Connect(ctx, life, hubconn.Events{
		Method: func(name string, _ []byte) func() (int, []byte) {
			return func() (int, []byte) { return 299, []byte(`"` + name + `"`) }
		},
		Busy:      func(string) (int, []byte) { return 429, []byte(`{}`) },
		Delivered: func() {}, TwinChanged: func() {}, Lost: end,
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, step := range []func() error{
		func() error { return conn.SubscribeMethods(life) },
		func() error { return conn.SubscribeTwin(life) },
		func() error { _, err := conn.ReadTwin(life, timeout, func() {}); return err },
		func() error { return then(conn) },
	} {
		if err == nil {
			err = step()
		}
	}
	if lost := context.Cause(life); lost != nil {
		return lost
	}
	return err
}

// expect fails the test unless err has the reason code and contains text.
func expect(t *testing.T, err error, want reason.Code, text string) {
	t.Helper()
	if err == nil {
		t.Errorf("connected, want %s", want)
	} else if got := reason.Of(err); got != want || !strings.Contains(err.Error(), text) {
		t.Errorf("%s, %v; want %s, %q", got, err, want, text)
	}
}
