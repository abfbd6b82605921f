package hubctl_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/porttest"
)

func TestHelp(t *testing.T) {
	e := &env{}
	for _, c := range []struct{ args, word string }{
		{"--help", "\n  device add ID "},
		{"device --help", "\n  add ID "},
		{"device add --help", "--thumbprint HEX"},
		{"device add d -h", "a secret"},
		{"method call --help", "whatever its status"},
		{"query --help", "Usage: tunnelctl hub query QUERY [flags]"},
		{"twin set --help", "--if-match ETAG"},
	} {
		got := e.must(t, strings.Fields(c.args)...)
		if !strings.HasPrefix(got, "Usage: tunnelctl hub ") || !strings.Contains(got, c.word) {
			t.Errorf("%s: no %q in:\n%s", c.args, c.word, got)
		}
	}
	all := e.must(t, "--help")
	for verb := range strings.SplitSeq("device add,device list,module rm,twin get,method call,query", ",") {
		if !strings.Contains(all, "\n  "+verb) {
			t.Errorf("%s is not in:\n%s", verb, all)
		}
	}
}

func TestArguments(t *testing.T) {
	e := &env{}
	for _, c := range []struct{ args, word string }{
		{"", "hub needs a command\nSee tunnelctl hub --help."},
		{"dance", `unknown command "dance"`},
		{"metod call d m", `unknown command "metod", did you mean "method"?`},
		{"device", "device needs a command\nSee tunnelctl hub device --help."},
		{"device dance", "unknown command \"dance\"\nSee tunnelctl hub device --help."},
		{"device add", "ID is missing\nSee tunnelctl hub device add --help."},
		{"device add a b", `unexpected argument "b"`},
		{"method call d", "NAME is missing"},
		{"query SELECT x", `unexpected argument "x" (one with blanks in it needs quotes)`},
		{"device list --nope", "-nope"},
		{"device list -json", "did you mean --json?\nSee tunnelctl hub device list --help."},
		{"device list", "Set HUB_CONNECTION_STRING"},
	} {
		e.refused(t, 2, []string{c.word}, strings.Fields(c.args)...)
	}
}

// Flags may stand anywhere before --.
func TestArguments_order(t *testing.T) {
	e := start(t)
	for id, args := range map[string][]string{
		"d1": {"--edge", "d1"}, "d2": {"d2", "--edge"}, "d3": {"--disabled=false", "--edge", "--", "d3"}, "-d": {"--edge", "--", "-d"},
	} {
		got := e.must(t, append([]string{"device", "add"}, args...)...)
		if !strings.HasPrefix(got, "device           "+id+"\n") || !strings.Contains(got, "edge             yes\n") {
			t.Errorf("%v:\n%s", args, got)
		}
	}
	e.refused(t, 2, []string{"unexpected argument \"--edge\""}, "device", "add", "--", "d", "--edge")
}

func TestSecretArgument_isRefused(t *testing.T) {
	e := start(t)
	_, key, _ := strings.Cut(e.hub.OwnerConnectionString(), "SharedAccessKey=")
	for _, args := range [][]string{
		{"device", "list", e.hub.OwnerConnectionString()},
		{"device", "list", "--connection-string=" + e.hub.OwnerConnectionString()},
		{"device", "list", "--connection-string-file", e.hub.OwnerConnectionString()},
		{e.hub.OwnerConnectionString()},
		{"device", "add", "d", "sharedaccesskey=" + key},
		{"device", "add", "d", "SharedAccessSignature sr=x&sig=" + key},
	} {
		code, stdout, stderr := e.run(t, args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, "Every user of this machine") || strings.Contains(stderr, key) {
			t.Errorf("exit code %d, stdout %q, stderr:\n%s", code, stdout, stderr)
		}
	}
}

func TestConnection_fromFiles(t *testing.T) {
	e := start(t)
	owner := file(t, e.hub.OwnerConnectionString()+"\r\n")
	ca := e.hub.CAFile()
	for _, variables := range []map[string]string{
		{"HUB_CA_FILE": ca}, {"CA_FILE": ca}, {"HUB_CA_FILE": ca, "CA_FILE": "missing.pem"},
	} {
		e.variables = variables
		e.must(t, "device", "list", "--connection-string-file", owner)
	}
	e.variables = map[string]string{"CA_FILE": "missing.pem", "HUB_CONNECTION_STRING": "of another hub"}
	e.must(t, "device", "list", "--connection-string-file", owner, "--ca-file", ca)

	list := []string{"device", "list", "--connection-string-file", owner}
	e.refused(t, 2, []string{"CA_FILE: open missing.pem"}, list...)
	e.refused(t, 2, []string{"holds no certificate in PEM"}, append(list, "--ca-file", owner)...)
	e.refused(t, 2, []string{"--connection-string-file: open missing"}, "device", "list", "--connection-string-file", "missing")
	e.variables = map[string]string{"HUB_CONNECTION_STRING": "HostName=h;SharedAccessKey=a2V5"}
	e.refused(t, 2, []string{"HUB_CONNECTION_STRING", "no SharedAccessKeyName"}, "device", "list")
}

// Each connection error names the address and a remedy.
func TestConnection_fails(t *testing.T) {
	e := start(t)
	good := e.variables
	with := func(name, value string) map[string]string {
		m := map[string]string{"HUB_CONNECTION_STRING": good["HUB_CONNECTION_STRING"], "CA_FILE": good["CA_FILE"]}
		m[name] = value
		return m
	}
	at := func(host string) map[string]string {
		return with("HUB_CONNECTION_STRING", "HostName="+host+";SharedAccessKeyName=p;SharedAccessKey=a2V5")
	}
	other, err := localca.New("another authority")
	if err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, port, err := net.SplitHostPort(e.hub.HTTPSAddr())
	if err != nil {
		t.Fatal(err)
	}
	closed := porttest.Reserve(t)
	for _, c := range []struct {
		variables map[string]string
		words     []string
	}{
		{with("CA_FILE", ""), []string{"localhost:" + port, "unknown authority", "--ca-file"}},
		{with("CA_FILE", file(t, string(other.CertPEM()))), []string{"unknown authority", "--ca-file"}},
		{at(closed), []string{closed, "connection refused", "does hubemulator serve run"}},
		{at(strings.TrimPrefix(plain.URL, "http://")), []string{"HTTP response to HTTPS client", "is it the hub's HTTPS port"}},
		{at(otherProtocol(t)), []string{"does not look like a TLS handshake", "is it the hub's HTTPS port"}},
		{at("nowhere.invalid"), []string{"nowhere.invalid", "Check HostName"}},
		{at("localhost:" + port), []string{"localhost:" + port, "401 IotHubUnauthorizedAccess", "Check the connection string"}},
	} {
		e.variables = c.variables
		e.refused(t, 1, c.words, "device", "list")
	}
}

// The kernel accepts the connection, and no program answers. The test takes ten seconds,
// the client's timeout for TLS; the timeout of a method call is longer.
func TestConnection_silentHub(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	e := &env{variables: map[string]string{
		"HUB_CONNECTION_STRING": "HostName=" + ln.Addr().String() + ";SharedAccessKeyName=p;SharedAccessKey=a2V5",
	}}
	e.refused(t, 1, []string{"TLS handshake timeout", "No answer in time"}, "method", "call", "d", "m")
}

// otherProtocol returns the address of a server that speaks neither HTTP nor TLS.
func otherProtocol(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if conn, err := ln.Accept(); err == nil {
			_, _ = io.WriteString(conn, "SSH-2.0-other\r\n")
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return ln.Addr().String()
}

// The emulator sends pages, for a query and for a list that is too long for one answer.
func TestQuery_pagesOfTheEmulator(t *testing.T) {
	e := start(t)
	const many = 1001
	for i := range many {
		if _, err := e.hub.AddModule(fmt.Sprintf("d%04d", i), "m"); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"query", "SELECT * FROM devices WHERE is_defined(deviceId)"}, {"device", "list"}} {
		got := e.must(t, args...)
		for _, id := range []string{"edge1", "d0000", "d0999", "d1000"} {
			if !strings.Contains(got, id) {
				t.Errorf("%v: no %s", args, id)
			}
		}
		if n := strings.Count(got, "\n"); n < many+1 || n > many+2 { // edge1 comes on top, and a table has a header
			t.Errorf("%v: %d lines", args, n)
		}
	}
	e.refused(t, 1, []string{"query: the hub localhost:", "400 ArgumentInvalid"}, "query", "SELECT * FROM nowhere")
	e.refused(t, 1, []string{"400 ArgumentInvalid"}, "query", "dance")
}

func TestQuery(t *testing.T) {
	e, stop := startPages(t, `[{"deviceId":"d1", "n": 1}, {"deviceId":"d2"}]`, `[]`, `[{"deviceId":"d3"}]`)
	defer stop()
	want := "{\"deviceId\":\"d1\",\"n\":1}\n{\"deviceId\":\"d2\"}\n{\"deviceId\":\"d3\"}\n"
	if got := e.must(t, "query", "SELECT * FROM devices"); got != want {
		t.Errorf("query wrote\n%s", got)
	}
	want = "[\n{\"deviceId\":\"d1\",\"n\":1},\n{\"deviceId\":\"d2\"},\n{\"deviceId\":\"d3\"}\n]\n"
	if got := e.must(t, "query", "SELECT * FROM devices", "--json"); got != want {
		t.Errorf("query --json wrote\n%s", got)
	}
	none, stopNone := startPages(t, `[]`)
	defer stopNone()
	if text, list := none.must(t, "query", "SELECT * FROM devices"), none.must(t, "query", "SELECT * FROM devices", "--json"); text != "" || list != "[]\n" {
		t.Errorf("no items: %q, %q", text, list)
	}
	// A later page fails: the array is not closed.
	broken, stopBroken := startPages(t, `[1]`, `broken`)
	defer stopBroken()
	code, stdout, stderr := broken.run(t, "query", "SELECT * FROM devices", "--json")
	if code != 1 || stdout != "[\n1" || !strings.Contains(stderr, "not an IoT Hub's") {
		t.Errorf("exit code %d, stdout %q, stderr %s", code, stdout, stderr)
	}
}

// A hub that repeats its continuation does not keep the command busy.
func TestQuery_repeatedContinuation(t *testing.T) {
	e, stop := startHandler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-continuation", "x")
		_, _ = io.WriteString(w, `[1]`)
	})
	defer stop()
	if code, stdout, stderr := e.run(t, "query", "SELECT 1"); code != 1 || stdout != "1\n" || !strings.Contains(stderr, "same page for ever") {
		t.Errorf("exit code %d, stdout %q, stderr %s", code, stdout, stderr)
	}
}

// startPages starts a hub that answers the query SELECT * FROM devices, and no other
// request.
func startPages(t *testing.T, pages ...string) (e *env, stop func()) {
	t.Helper()
	return startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Query string }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil || r.URL.Path != "/devices/query" || request.Query != "SELECT * FROM devices" {
			http.Error(w, "?", http.StatusBadRequest)
			return
		}
		n := len(r.Header.Get("x-ms-continuation"))
		if n+1 < len(pages) {
			w.Header().Set("x-ms-continuation", strings.Repeat("x", n+1))
		}
		_, _ = io.WriteString(w, pages[n])
	})
}

// startHandler starts a hub that is not the emulator.
func startHandler(t *testing.T, handler http.HandlerFunc) (e *env, stop func()) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return &env{variables: map[string]string{
		"HUB_CONNECTION_STRING": "HostName=" + strings.TrimPrefix(server.URL, "https://") + ";SharedAccessKeyName=p;SharedAccessKey=a2V5",
		"CA_FILE":               file(t, string(ca)),
	}}, server.Close
}

// Answers that real hubs and proxies give, and the emulator does not.
func TestAnswers_ofOtherHubs(t *testing.T) {
	for _, c := range []struct {
		status       int
		code, body   string
		stdout, word string
	}{
		{200, "", `{"etag":"x","big":12345678901234567890,"text":"<&>"}`, "{\n  \"etag\": \"x\",\n  \"big\": 12345678901234567890,\n  \"text\": \"<&>\"\n}\n", ""},
		{200, "", `<html>a proxy's page</html>`, "", "not an IoT Hub's"},
		{403, "IotHubQuotaExceeded", `{"Message":"ErrorCode:IotHubQuotaExceeded;quota"}`, "", "403 IotHubQuotaExceeded: quota\nThe policy"},
		{404, "DeviceNotOnline", `{"Message":"{\"errorCode\":404103,\"message\":\"Timed out\"}"}`, "", "(404103): Timed out\nIt is offline"},
		{429, "ThrottlingException", `{"Message":"x"}`, "", "The hub is throttling"},
		{503, "ServiceUnavailable", ``, "", "503 ServiceUnavailable: Service Unavailable\nThe fault is in the hub"},
		{504, "GatewayTimeout", `{"Message":"{\"errorCode\":504101,\"message\":\"Timed out\"}"}`, "", "(504101): Timed out\nIt is connected"},
		{418, "", `{}`, "", "answered 418: I'm a teapot\n"},
	} {
		e, stop := startHandler(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("iothub-errorcode", c.code)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		code, stdout, stderr := e.run(t, "twin", "get", "d")
		if want := map[bool]int{true: 0, false: 1}[c.stdout != ""]; code != want || stdout != c.stdout || !strings.Contains(stderr, c.word) {
			t.Errorf("%d %s: exit code %d, stdout %q, stderr:\n%s", c.status, c.body, code, stdout, stderr)
		}
		stop()
	}
}

// A list of 1,000 may be incomplete: the command lists all devices by a query.
func TestDeviceList_ofManyDevices(t *testing.T) {
	e, stop := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `[{"deviceId":"d"}`+strings.Repeat(`,{"deviceId":"d"}`, 999)+`]`)
			return
		}
		if r.Header.Get("x-ms-continuation") == "" {
			w.Header().Set("x-ms-continuation", "next")
			_, _ = io.WriteString(w, `[{"deviceId":"d1","etag":"t","deviceEtag":"e1","status":"enabled","connectionState":"Connected","authenticationType":"sas",
				"lastActivityTime":"2026-01-02T03:04:05.678Z","capabilities":{"iotEdge":true}}]`)
			return
		}
		_, _ = io.WriteString(w, `[{"deviceId":"d2","status":"disabled","connectionState":"Disconnected","authenticationType":"selfSigned","lastActivityTime":"0001-01-01T00:00:00"}]`)
	})
	defer stop()
	want := `DEVICE   STATUS     CONNECTION     AUTH         EDGE   LAST ACTIVITY
d1       enabled    Connected      sas          yes    2026-01-02 03:04:05Z
d2       disabled   Disconnected   selfSigned   no     never
`
	if got := e.must(t, "device", "list"); got != want {
		t.Errorf("list wrote:\n%s", got)
	}
	if got := e.must(t, "device", "list", "--json"); !strings.Contains(got, `"etag": "e1"`) || strings.Contains(got, `"t"`) {
		t.Errorf("list --json wrote:\n%s", got)
	}
}

// A closed standard output, or a full disk, is an error.
func TestOutput_fails(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"HUB_CONNECTION_STRING": hub.OwnerConnectionString(), "CA_FILE": hub.CAFile()}[name]
		return value, ok
	}
	for _, args := range [][]string{{"device", "list"}, {"device", "--help"}} {
		var stderr bytes.Buffer
		std := cli.IO{In: strings.NewReader(""), Out: full{}, Err: &stderr, Lookup: lookup}
		code := program().Run(t.Context(), append([]string{"hub"}, args...), std)
		if code != 1 || !strings.Contains(stderr.String(), "write to standard output: disk full") {
			t.Errorf("%v: exit code %d, stderr %s", args, code, stderr.String())
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }
