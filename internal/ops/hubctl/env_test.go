package hubctl_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/hub/hubemulator/sas"
	"rtsptunnel/internal/ops/hubctl"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// env is the surroundings of a command.
type env struct {
	hub       *hubtest.Hub
	variables map[string]string
	stdin     string
}

// start starts a hub with module edge1/rtsptunnel, and names it by the variables that
// hubemulator serve prints.
func start(t *testing.T) *env {
	t.Helper()
	hub := hubtest.Start(t, io.Discard)
	return &env{hub: hub, variables: map[string]string{
		"HUB_CONNECTION_STRING": hub.OwnerConnectionString(), "CA_FILE": hub.CAFile(),
	}}
}

func program() cli.Program {
	return cli.Program{
		Name: "tunnelctl", Brief: "test", Commands: []*cli.Command{hubctl.Command()},
		CheckArguments: hubaccess.CheckArguments, Advise: hubaccess.Advice,
	}
}

// run runs one verb, which must not write a secret.
func (e *env) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	code, stdout, stderr = e.runSecret(t, args...)
	logtest.NoSecret(t, stdout)
	return code, stdout, stderr
}

// runSecret runs one verb that may write a secret, but only to standard output.
func (e *env) runSecret(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = program().Run(t.Context(), append([]string{"hub"}, args...), cli.IO{
		In: strings.NewReader(e.stdin), Out: &out, Err: &errs,
		Lookup: func(name string) (string, bool) { value, ok := e.variables[name]; return value, ok },
	})
	logtest.NoSecret(t, errs.String())
	return code, out.String(), errs.String()
}

// must runs a verb that has to succeed and writes only its result.
func (e *env) must(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := e.run(t, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("%v: exit code %d, stderr:\n%s", args, code, stderr)
	}
	return stdout
}

// refused runs a verb that has to fail with an exit code and all these words. It must not
// write to standard output.
func (e *env) refused(t *testing.T, code int, words []string, args ...string) {
	t.Helper()
	got, stdout, stderr := e.run(t, args...)
	if got != code || stdout != "" {
		t.Errorf("%.100q: exit code %d, want %d; stdout %q", args, got, code, stdout)
	}
	for _, word := range words {
		if !strings.Contains(stderr, word) {
			t.Errorf("%.100q: no %q in:\n%s", args, word, stderr)
		}
	}
}

// file writes a file and returns its name, which does not look like a secret.
func file(t *testing.T, content string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hubctl-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "f.json")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// connect logs a device or module in by the connection string the command printed, and
// answers each method with its name as status 418's payload.
func (e *env) connect(t *testing.T, connectionString string) {
	t.Helper()
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimSpace(connectionString), ";") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	resource, id := parts["HostName"]+"/devices/"+parts["DeviceId"], parts["DeviceId"]
	if module := parts["ModuleId"]; module != "" {
		resource, id = resource+"/modules/"+module, id+"/"+module
	}
	password, err := sas.Sign(resource, "", parts["SharedAccessKey"], time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	client := paho.NewClient(paho.NewClientOptions().
		AddBroker("tls://" + e.hub.MQTTAddr()).
		SetTLSConfig(&tls.Config{RootCAs: e.hub.CA().Pool(), ServerName: parts["GatewayHostName"]}).
		SetProtocolVersion(4).SetOrderMatters(false).SetAutoReconnect(false).
		SetClientID(id).SetUsername(parts["HostName"] + "/" + id + "/?api-version=2021-04-12").SetPassword(password))
	wait(t, client.Connect())
	t.Cleanup(func() { client.Disconnect(0) })
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, func(c paho.Client, m paho.Message) {
		rid := strings.TrimPrefix(m.Topic()[strings.Index(m.Topic(), "?"):], "?$rid=")
		c.Publish("$iothub/methods/res/418/?$rid="+rid, 0, false, `{"got":`+string(m.Payload())+`}`)
	}))
}

func wait(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatal("no answer from the hub")
	}
	if token.Error() != nil {
		t.Fatal(token.Error())
	}
}
