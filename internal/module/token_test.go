package module_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"rtsptunnel/internal/module"
)

// The environment of the process that TestTunnel_keepsNoToken starts.
const (
	tokenVariable    = "TOKEN_TEST_TOKEN" // as hidden by hide
	endpointVariable = "TOKEN_TEST_ENDPOINT"
	rootsVariable    = "TOKEN_TEST_ROOTS"
	twinVariable     = "TOKEN_TEST_TWIN"
)

// hide returns hex digits of token from which it can be found without being in memory.
func hide(token string) string {
	b := []byte(token)
	for i := range b {
		b[i] ^= 0xff
	}
	return hex.EncodeToString(b)
}

// While a tunnel lives, no object in the module's memory holds its token. The remote end and
// the caller have the token, so the module is in another process, which dumps its heap.
func TestTunnel_keepsNoToken(t *testing.T) {
	if os.Getenv(tokenVariable) != "" {
		dumpWithoutToken(t)
		return
	}
	t.Parallel()
	r, cam := newRemote(t), echo(t)
	doc := `{"desired":{"$version":1,"cameras":{"front":{"host":"127.0.0.1","localPort":554,"port":` + portOf(cam) + `}}}}`
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestTunnel_keepsNoToken$", "-test.v")
	child.Env = append(os.Environ(),
		tokenVariable+"="+hide(strings.Repeat(rand.Text(), 10)), // longer than any buffer on a stack
		endpointVariable+"=wss"+strings.TrimPrefix(r.URL, "https"), rootsVariable+"="+string(r.ca.CertPEM()), twinVariable+"="+doc)
	out, err := child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestTunnel_keepsNoToken")) {
		t.Errorf("%v:\n%s", err, out)
	}
	(<-r.tunnels).Close()
}

func portOf(ln interface{ Addr() net.Addr }) string {
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// dumpWithoutToken opens a tunnel and looks for its token in the heap.
func dumpWithoutToken(t *testing.T) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(os.Getenv(rootsVariable)))
	call := module.MethodOf(t, roots, os.Getenv(twinVariable))
	openWithToken(t, call)
	hidden, err := hex.DecodeString(os.Getenv(tokenVariable))
	if err != nil {
		t.Fatal(err)
	}
	kept := shown(hidden) // proves that a dump shows a token that is in use
	if n := copies(t, hidden); n != 1 {
		t.Errorf("%d objects hold the token, want only the test's own", n)
	}
	runtime.KeepAlive(kept)
	if n := copies(t, hidden); n != 0 {
		t.Errorf("%d objects hold the token while the tunnel lives", n)
	}
}

// openWithToken calls tunnelOpen.
func openWithToken(t *testing.T, call func(string) (int, string)) {
	t.Helper()
	hidden, err := hex.DecodeString(os.Getenv(tokenVariable))
	if err != nil {
		t.Fatal(err)
	}
	if status, body := call(payload(os.Getenv(endpointVariable), string(shown(hidden)), 554)); status != 200 {
		t.Fatalf("answer %d %s", status, body)
	}
}

// shown returns a token that hide has hidden, in bytes.
func shown(hidden []byte) []byte {
	token := make([]byte, len(hidden))
	for i, b := range hidden {
		token[i] = b ^ 0xff
	}
	return token
}

// copies returns how often a token is in the objects that are in use.
func copies(t *testing.T, hidden []byte) (n int) {
	t.Helper()
	runtime.GC()
	runtime.GC() // the first one leaves the pools' buffers
	name := filepath.Join(t.TempDir(), "heap")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	debug.WriteHeapDump(file.Fd())
	dump, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range dump {
		dump[i] ^= 0xff // the token is not in this process's memory
	}
	return bytes.Count(dump, hidden)
}
