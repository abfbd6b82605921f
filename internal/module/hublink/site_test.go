package hublink_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second // for what takes milliseconds

// echo is a module. It answers each method with its name and payload. It reports the
// version of each twin unless the hub has it, and sends the version to twins.
type echo struct {
	twins chan int64
}

func (e *echo) Method(_ context.Context, name string, payload []byte) func() (int, []byte) {
	if len(payload) == 0 {
		payload = []byte("null")
	}
	body, _ := json.Marshal(map[string]any{"name": name, "payload": json.RawMessage(payload)})
	return func() (int, []byte) { return 299, body }
}

func (e *echo) Busy(name string) (int, []byte) { return 429, []byte(`"` + name + `"`) }

func (e *echo) Twin(doc []byte, _ hublink.Connection) []byte {
	var t struct {
		Desired struct {
			Version int64 `json:"$version"`
		} `json:"desired"`
		Reported struct {
			Seen int64 `json:"seen"`
		} `json:"reported"`
	}
	if json.Unmarshal(doc, &t) != nil {
		return nil
	}
	select {
	case e.twins <- t.Desired.Version:
	default:
	}
	if t.Reported.Seen == t.Desired.Version {
		return nil
	}
	return []byte(`{"seen":` + strconv.FormatInt(t.Desired.Version, 10) + `}`)
}

// site is a hub emulator with one module, and the options to connect as it.
type site struct {
	*hubtest.Hub
	module *echo
	o      hublink.Options
	log    *logtest.Record
}

func newSite(tb testing.TB) *site {
	tb.Helper()
	s := &site{Hub: nil, module: &echo{twins: make(chan int64, 64)}, log: logtest.New()}
	s.Hub = hubtest.Start(tb, s.log)
	s.o = hublink.Options{
		Conn: hubconn.Options{
			Identity: hubconn.Identity{
				HubHost: hubtest.HubName, GatewayHost: hubtest.GatewayName, DeviceID: s.ID.Device, ModuleID: s.ID.Module,
				Auth: hubconn.Workload{URI: s.WorkloadURI(), GenerationID: s.Generation},
			},
			ModelID: "dtmi:com:example:Thermostat;1", Product: "test/1.0 (a+b; c&d=e)", Log: zerolog.New(s.log),
		},
		Address: s.MQTTAddr(), Handler: s.module,
	}
	return s
}

// run keeps the module connected until stop, or the test's end, with quick times.
func (s *site) run(t *testing.T) (stop func()) {
	t.Helper()
	l := s.link(t)
	hublink.SetTimes(l, quick)
	return s.keep(t, l)
}

// start is run with other times, and returns the link.
func (s *site) start(t *testing.T, change func(*hublink.Times)) *hublink.Link {
	t.Helper()
	l := s.link(t)
	hublink.SetTimes(l, change)
	s.keep(t, l)
	return l
}

func (s *site) link(tb testing.TB) *hublink.Link {
	tb.Helper()
	l, err := hublink.New(s.o)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// keep is run for a link that exists already.
func (s *site) keep(tb testing.TB, l *hublink.Link) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if _, ok := receive(tb, ended); !ok {
			tb.Errorf("Run does not end:\n%s", s.log)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// quick times make an attempt cost a test little time.
func quick(ts *hublink.Times) {
	ts.FirstWait, ts.LastWait, ts.LostWait = 20*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	ts.Read, ts.Report, ts.Acknowledge = 20*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
}

// patient times make every wait longer than any test: an attempt is then not caused by the
// backoff.
func patient(ts *hublink.Times) {
	ts.FirstWait, ts.LastWait, ts.LostWait = 1000*time.Hour, 1000*time.Hour, 1000*time.Hour
}

// receive returns what ch delivers, and false if there is nothing within patience. It also
// works during the test's cleanup.
func receive[T any](tb testing.TB, ch <-chan T) (v T, ok bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	select {
	case v = <-ch:
		return v, true
	case <-ctx.Done():
		return v, false
	}
}

// poll calls ok until it is true, and returns false if it is not within patience.
func poll(tb testing.TB, ok func() bool) bool {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !poll(t, ok) {
		t.Fatalf("not in time: %s", what)
	}
}

// awaitState waits until the link's state is as wanted.
func awaitState(tb testing.TB, s *site, l *hublink.Link, what string, ok func(hublink.State) bool) (now hublink.State) {
	tb.Helper()
	if !poll(tb, func() bool { now = l.State(); return ok(now) }) {
		tb.Fatalf("never %s: %+v\n%s", what, now, s.log)
	}
	return now
}

// connected is in the line about a connection, and in no other.
const connected = `"failedAttempts":`

// failed is in each line about a failed attempt, twin, report or renewal.
const failed = `"reason":"HUB_`

func ready(s hublink.State) bool { return s.Subscribed }

func waiting(s hublink.State) bool { return !s.NextAttempt.IsZero() }

// awaitTurns waits until Run's loop has turned for so long: probes and other events that
// would disturb it have had their chance.
func awaitTurns(tb testing.TB, s *site, l *hublink.Link, long time.Duration) {
	tb.Helper()
	begin := time.Now()
	awaitState(tb, s, l, "turning", func(s hublink.State) bool { return s.LastTurn.Sub(begin) >= long })
}

// await waits until the module has got a twin with that version, or a higher one.
func (s *site) await(t *testing.T, version int64) {
	t.Helper()
	for {
		got, ok := receive(t, s.module.twins)
		if !ok {
			t.Fatalf("version %d did not come:\n%s", version, s.log)
		}
		if got >= version {
			return
		}
	}
}

// patch desires n.
func (s *site) patch(t *testing.T, n int64) {
	t.Helper()
	if _, err := s.Client.PatchDesired(t.Context(), s.ID, json.RawMessage(`{"n":`+strconv.FormatInt(n, 10)+`}`)); err != nil {
		t.Fatal(err)
	}
}

// key is the module's own key, which needs no workload API.
func (s *site) key(t *testing.T) hubconn.SymmetricKey {
	t.Helper()
	r, err := s.Client.Registration(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(r.Authentication.SymmetricKey.Primary)
	if err != nil {
		t.Fatal(err)
	}
	roots := s.CA().Pool() // the hub may stop
	return hubconn.SymmetricKey{
		Key:   func() ([]byte, error) { return key, nil },
		Roots: func() (*x509.CertPool, error) { return roots, nil },
	}
}

// anyKey authenticates by a key that no hub has to know.
func (s *site) anyKey() {
	s.o.Conn.Identity.Auth = hubconn.SymmetricKey{
		Key:   func() ([]byte, error) { return []byte("key"), nil },
		Roots: func() (*x509.CertPool, error) { return s.CA().Pool(), nil },
	}
}

// at makes address the only one, for protocol p.
func (s *site) at(address string, p hubconn.Protocol) {
	s.o.Address, s.o.WebSocketAddress, s.o.Protocol = address, address, p
}

// replaceHub makes serve the site's hub, on connections with TLS that have the right
// certificate; the module authenticates by a key.
func (s *site) replaceHub(t *testing.T, p hubconn.Protocol, serve func(net.Conn)) {
	t.Helper()
	cert, err := s.CA().Issue(hubtest.GatewayName)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.at(nettest.Listen(t, func(conn net.Conn) { serve(tls.Server(conn, config)) }), p)
	s.anyKey()
}
