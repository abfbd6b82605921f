package module_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// insideName is the variable that is set in a process with its own network namespace.
const insideName = "MODULE_TEST_INSIDE"

// inBridgeNetwork runs this test's function again, in a process with the network of a
// container on a bridge network: 10.9.0.1 and fd00:9::1 are its default gateways. It returns
// true in that process.
func inBridgeNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideName) != "" {
		for _, args := range []string{
			"link set lo up", "link add v0 type veth peer name v1", "link set v0 up", "link set v1 up",
			"addr add 10.9.0.2/24 dev v0", "addr add fd00:9::2/64 dev v0 nodad",
			"route add default via 10.9.0.1", "-6 route add default via fd00:9::1",
		} {
			if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v: %s", args, err, out)
			}
		}
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skipUnlessCI(t, "there is no ip, to set up a network namespace")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), insideName+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 { // an unprivileged user can be root of a user namespace
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	for _, refused := range []syscall.Errno{syscall.EPERM, syscall.ENOSPC, syscall.EINVAL} { // no permission, no namespace left, under qemu
		if errors.Is(err, refused) {
			skipUnlessCI(t, "the kernel gives no network namespace: "+err.Error())
		}
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// skipUnlessCI skips a test that needs something that this machine lacks. In CI, which must
// have it, the test fails.
func skipUnlessCI(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("this test must run in CI, but %s", why)
	}
	t.Skip(why)
}

// In a container on a bridge network the default gateway is the device itself: it is refused
// like the container's own addresses, and the lab switch opens it like these. Other addresses
// of the network are dialed.
func TestTunnelOpen_notToTheDefaultGateway(t *testing.T) {
	if !inBridgeNetwork(t) {
		return
	}
	for _, lab := range []bool{false, true} {
		s, cam := newSite(t), echo(t)
		if lab {
			s.env["RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE"] = "true"
		}
		stop := s.run(t)
		s.apply(t, map[string]any{
			"cameras": map[string]any{"front": at(cam, 554)},
			"tunnels": map[string]any{"remoteTimeoutSeconds": 1},
		})
		for endpoint, refused := range map[string]bool{
			"wss://10.9.0.1/": !lab, "wss://10.9.0.1:8443/x": !lab, "wss://[::ffff:10.9.0.1]/": !lab, "wss://[fd00:9::1]/": !lab,
			"wss://10.9.0.3/": false, "wss://[fd00:9::3]/": false,
		} {
			got, body := s.invoke(t, "tunnelOpen", payload(endpoint, "tok", 554))
			dialed := got == 502 || got == 504 // no neighbour has the address
			if dialed == refused || !dialed && got != 403 {
				t.Errorf("in a lab %t: %s: %d %v", lab, endpoint, got, body)
			}
		}
		stop()
	}
}
