package nettest

import (
	"net"
	"runtime"
	"testing"
)

// NeedSecondLoopback skips the test on systems whose loopback has one address, such as
// macOS. On Linux, where it is a network, a missing address fails the test.
func NeedSecondLoopback(tb testing.TB) {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.2:0")
	switch {
	case err == nil:
		_ = ln.Close()
	case runtime.GOOS == "linux":
		tb.Fatal(err)
	default:
		tb.Skip("loopback has one address here: ", err)
	}
}
