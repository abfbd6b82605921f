package tunnelopen_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

// outcomes returns every error that a caller can get, by reason code.
func outcomes(t *testing.T) map[reason.Code]error {
	t.Helper()
	const endpoint, camera = "wss://gw.example.com/t?a=b&c=d", "10.0.0.21:8554"
	r := tunnelopen.Request{RemoteEndpoint: endpoint, Token: "canary-token", LocalPort: 8554}
	all := map[reason.Code]error{
		reason.PortNotAllowed: tunnelopen.PortUnavailable(8554),
		reason.CameraBusy:     tunnelopen.TooManyTunnels(camera, reason.CameraBusy),
		reason.LimitTunnels:   tunnelopen.TooManyTunnels(camera, reason.LimitTunnels),
		reason.LimitCalls:     tunnelopen.TooManyCalls("reboot"),
		reason.PolicyRemote:   tunnelopen.RemoteForbidden(endpoint, errors.New("canary: not in the map")),
		reason.Disabled:       tunnelopen.Disabled(),
		reason.ShuttingDown:   tunnelopen.ShuttingDown(),
		reason.RemoteHTTP:     tunnelopen.RemoteAnswered(r, 401, "Who is there", nil),
		reason.UnknownMethod:  tunnelopen.UnknownMethod("reboot"),
		reason.Internal:       errors.New("canary: a panic"),
	}
	for code, payload := range map[reason.Code]string{
		reason.RequestJSON:     `[]`,
		reason.RequestField:    `{"remoteEndpoint":"` + endpoint + `","localPort":1}`,
		reason.RequestType:     `{"remoteEndpoint":"` + endpoint + `","remoteAuthorizationToken":"t","localPort":"1"}`,
		reason.RequestSize:     `{"x":` + strings.Repeat("[", 9),
		reason.RequestEndpoint: `{"remoteEndpoint":"wss://u:canary@gw.example.com/t"}`,
		reason.RequestToken:    `{"remoteEndpoint":"` + endpoint + `","remoteAuthorizationToken":"canary\r\n"}`,
	} {
		_, err := decode([]byte(payload))
		all[code] = err
	}
	for _, code := range []reason.Code{reason.CameraRefused, reason.CameraTimeout, reason.CameraDNS, reason.NoResources} {
		all[code] = tunnelopen.CameraUnreachable(camera, reason.New(code, errors.New("canary")))
	}
	for _, code := range []reason.Code{
		reason.RemoteDNS, reason.RemoteRefused, reason.RemoteTLSExpiry, reason.RemoteTLSName, reason.RemoteTLSCA, reason.RemoteUpgrade,
		reason.RemoteTimeout, reason.ProxyLogin, reason.ProxyHTTP, reason.ProxyDown,
	} {
		all[code] = tunnelopen.RemoteUnreachable(endpoint, reason.New(code, errors.New("canary")))
	}
	return all
}

// Every error has its body verbatim: each line of the golden file has a reason code, a
// status and a body.
func TestResponse_golden(t *testing.T) {
	golden, err := os.ReadFile("testdata/golden/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[reason.Code]string{}
	for line := range strings.Lines(string(golden)) {
		code, answer, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[reason.Code(code)] = answer
	}
	got := outcomes(t)
	for code, err := range got {
		status, body := tunnelopen.Response(err)
		if answer := strconv.Itoa(status) + " " + string(body); answer != want[code] {
			t.Errorf("got  %s %s\nwant %s %s", code, answer, code, want[code])
		}
		if e, ok := errors.AsType[*tunnelopen.Error](err); code != reason.Internal && (!ok || e.Reason != code) {
			t.Errorf("%v has another reason than %s", err, code)
		}
	}
	for code := range want {
		if _, ok := got[code]; !ok {
			t.Errorf("%s has a golden body, and no error has it", code)
		}
	}
}
