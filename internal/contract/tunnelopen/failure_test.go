package tunnelopen_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

func TestDecodeFailure_isPrintable(t *testing.T) {
	var r tunnelopen.Request
	e := tunnelopen.DecodeFailure(r, 400, []byte(`{"code":"400","target":"h:1","message":"Local port is not available"}`))
	if e.Status != 400 || e.Target != "h:1" || e.Message != "Local port is not available" {
		t.Errorf("got %+v", e)
	}
	if e := tunnelopen.DecodeFailure(r, 400, []byte(`{"code":"400","target":"h\u001b[2J","message":"\u0007`+strings.Repeat("m", 500)+`"}`)); e.Target != "h[2J" || len(e.Message) != 120 || e.Reason != "" {
		t.Errorf("an untrusted answer is decoded as %+v", e)
	}
	if e := tunnelopen.DecodeFailure(r, 500, []byte("oops")); e.Status != 500 || e.Message != "" || e.Reason != "" {
		t.Errorf("got %+v", e)
	}
}

// representatives are the codes that several errors with one body have in common.
var representatives = map[reason.Code]reason.Code{
	reason.CameraTimeout: reason.CameraRefused, reason.CameraDNS: reason.CameraRefused,
	reason.CameraBusy: reason.LimitTunnels,
	reason.RemoteDNS:  reason.RemoteRefused, reason.RemoteTLSExpiry: reason.RemoteRefused, reason.RemoteTLSName: reason.RemoteRefused,
	reason.RemoteTLSCA: reason.RemoteRefused, reason.RemoteUpgrade: reason.RemoteRefused,
	reason.ProxyLogin: reason.ProxyHTTP, reason.ProxyDown: reason.ProxyHTTP,
	reason.RequestSize: reason.RequestJSON, reason.RequestField: reason.RequestToken,
}

// The caller gets the reason of each error that the module can answer with.
func TestDecodeFailure_reasonOfEachAnswer(t *testing.T) {
	r := tunnelopen.Request{RemoteEndpoint: "wss://gw.example.com/t?a=b&c=d", LocalPort: 8554}
	for code, err := range outcomes(t) {
		want := code
		if one, ok := representatives[code]; ok {
			want = one
		}
		status, body := tunnelopen.Response(err)
		if got := tunnelopen.DecodeFailure(r, status, body); got.Reason != want {
			t.Errorf("%s: the answer %d %s is decoded as %q, want %q", code, status, body, got.Reason, want)
		}
	}
}

// A long endpoint is cut in the answer. A status of another origin has no reason.
func TestDecodeFailure_isOfTheEndpoint(t *testing.T) {
	r := tunnelopen.Request{RemoteEndpoint: "wss://gw.example.com/" + strings.Repeat("p", 4<<10), Token: "t"}
	status, body := tunnelopen.Response(tunnelopen.RemoteAnswered(r, 404, "Not Found", nil))
	if e := tunnelopen.DecodeFailure(r, status, body); e.Reason != reason.RemoteHTTP {
		t.Errorf("got %+v", e)
	}
	for _, body := range []string{`{"target":"10.0.0.1:554","message":"Not Found"}`, `{"message":"Not Found"}`, `null`, `[]`} {
		if e := tunnelopen.DecodeFailure(r, 404, []byte(body)); e.Reason != "" {
			t.Errorf("%s is decoded as %+v", body, e)
		}
	}
}

// A new message needs its reason in DecodeFailure.
func TestDecodeFailure_knowsEachMessage(t *testing.T) {
	constructors, err := os.ReadFile("error.go")
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := os.ReadFile("failure.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\t(message\w+) += "`).FindAllSubmatch(constructors, -1)
	if len(found) < 10 {
		t.Fatalf("%d messages in error.go", len(found))
	}
	for _, m := range found {
		if !regexp.MustCompile(`\b` + string(m[1]) + `\b`).Match(decoder) {
			t.Errorf("DecodeFailure does not know %s", m[1])
		}
	}
}
