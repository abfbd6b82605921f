package policy_test

import (
	"errors"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/policy"
)

func remotes(tb testing.TB, patterns ...string) policy.Remotes {
	tb.Helper()
	byLabel := map[string]string{}
	for i, p := range patterns {
		byLabel[strconv.Itoa(i)] = p
	}
	r, faults := policy.ParseRemotes(byLabel)
	if len(faults) > 0 {
		tb.Fatalf("%q: %v", patterns, faults)
	}
	return r
}

// judge parses an endpoint, as tunnelopen.Decode does, and judges it by these rules.
func judge(rules policy.Rules, text string) (policy.Endpoint, error) {
	u, err := url.Parse(text)
	if err != nil { // Decode refuses it
		return policy.Endpoint{}, reason.New(reason.PolicyRemote, errors.New("not a URL"))
	}
	return rules.Endpoint(u)
}

// same compares endpoints, their URLs as they are written.
func same(a, b policy.Endpoint) bool {
	return a.URL.String() == b.URL.String() && a.Host == b.Host && a.Addr == b.Addr && a.Port == b.Port && a.Secure == b.Secure
}

// The cases of the threat model: suffixes, trailing dots, case, IDN, userinfo, ports, and
// IP literals in every notation.
func TestEndpoint_byName(t *testing.T) {
	rules := policy.Rules{Remotes: remotes(t, "*.example.com", "gw.example.net:8443", "münchen.example", "10.0.0.7", "[2001:db8::7]:444", "_x.a--b.example")}
	for _, allowed := range []string{
		"wss://a.example.com", "wss://a.b.example.com/path?q=1", "wss://a.example.com:443/", "wss://a.example.com:/", "wss://a.example.com:00443",
		"wss://A.EXAMPLE.COM/", "WSS://a.example.com./", "wss://a.example.com.:443/", "wss://xn--a.example.com/", "wss://_a.example.com/", "wss://1.example.com",
		"wss://ａ.example。com/", "wss://a.ex\u00adample.com/",
		"wss://gw.example.net:8443/", "wss://gw.example.net.:8443/", "wss://_X.a--b.example/",
		"wss://münchen.example/", "wss://MÜNCHEN.example/", "wss://M%C3%BCnchen.example./", "wss://xn--mnchen-3ya.example", "wss://mu\u0308nchen.example",
		"wss://10.0.0.7", "wss://[::ffff:10.0.0.7]/", "wss://[::ffff:a00:7]:443/",
		"wss://[2001:db8::7]:444", "wss://[2001:DB8:0:0::0:7]:444/",
	} {
		if e, err := judge(rules, allowed); err != nil {
			t.Errorf("%s: %v", allowed, err)
		} else if again, err := judge(rules, e.URL.String()); err != nil || !same(again, e) {
			t.Errorf("%s is dialed as %s, which is %+v (%v), not %+v", allowed, e.URL, again, err, e)
		}
	}
	for _, refused := range []string{
		"wss://example.com/", "wss://evilexample.com", "wss://a.example.com.evil/", "wss://example.com.evil.org", "wss://a.evilexample.com",
		"wss://.example.com/", "wss://a..example.com", "wss://a.example.com../", "wss://./", "wss:///a.example.com", "wss://*.example.com",
		"wss://a.example.com@evil.org/", "wss://evil.org#a.example.com", "wss://evil.org/a.example.com", "wss://evil.org?a.example.com", `wss://evil.org\a.example.com`, "wss://evil.org%2ea.example.com", "wss://evil.org%00.example.com",
		"wss://user@a.example.com/", "wss://user:pass@a.example.com/", "wss://@a.example.com/",
		"wss://a.example.com:444/", "wss://a.example.com:0/", "wss://a.example.com:65979/", "wss://a.example.com:-1", "wss://a.example.com:4 43", "wss://a.example.com:443:443",
		"wss://gw.example.net/", "wss://gw.example.net:443", "wss://a.gw.example.net:8443", "wss://gw.example.net:18443",
		"wss://munchen.example/", "wss://ä_b.example.com", "wss://x≠y.example.com", "wss://a.münchen.example", "wss://mün\u0441hen.example", "wss://a.ex\u0430mple.com", "wss://a.example.com\u2024evil.org",
		"wss://10.0.0.8", "wss://10.0.0.7.", "wss://010.0.0.7", "wss://10.0.0.07", "wss://10.0.7", "wss://0xa.0.0.7", "wss://0x0a000007", "wss://167772167", "wss://012.0.0.7", "wss://10.0.0.7.:443", "wss://10。0。0。7", "wss://１０.0.0.7", "wss://a.10.0.0.7", "wss://[10.0.0.7]",
		"wss://[::10.0.0.7]/", "wss://[64:ff9b::a00:7]/", "wss://[2001:db8::7]/", "wss://[2001:db8::7%25eth0]:444/", "wss://2001:db8::7:444/", "wss://[2001:db8::8]:444", "wss://[::ffff:10.0.0.7%25lo]",
		"ws://a.example.com/", "ws://a.example.com:443/", "https://a.example.com/", "//a.example.com", "a.example.com", "", "wss:a.example.com",
		"wss://" + strings.Repeat("a.", 130) + "example.com", "wss://" + strings.Repeat("a", 64) + ".example.com", "wss://" + strings.Repeat("ä", 60) + ".example.com",
		"wss://a." + strings.Repeat("\u00ad", 600) + "example.com", // longer than maxWritten, although IDNA removes these characters
	} {
		if e, err := judge(rules, refused); reason.Of(err) != reason.PolicyRemote {
			t.Errorf("%s is dialed as %s (%v)", refused, e.URL, err)
		}
	}
}

// The host is dialed in canonical form, and the rest as it was written.
func TestNewEndpoint_whatIsDialed(t *testing.T) {
	for text, want := range map[string]string{
		"wss://GW.example.com/A%2fb?c=%20D":   "wss://gw.example.com/A%2fb?c=%20D",
		"wss://gw.example.com.:0443":          "wss://gw.example.com.:443",
		"wss://gw.example.com:/?":             "wss://gw.example.com/?",
		"wss://münchen.example。/":             "wss://xn--mnchen-3ya.example./",
		"wss://[2001:DB8::0:7]/":              "wss://[2001:db8::7]/",
		"wss://[2001:db8::7]:8443/":           "wss://[2001:db8::7]:8443/",
		"wss://[::ffff:10.0.0.7]:8443/tunnel": "wss://10.0.0.7:8443/tunnel",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		written := u.String()
		if e, err := policy.NewEndpoint(u); err != nil || e.URL.String() != want || u.String() != written {
			t.Errorf("%s: dialed is %s, want %s (%v)", text, e.URL, want, err)
		}
	}
}

// A policy that allows any host refuses hosts that two parsers could read differently, and
// forbidden addresses.
func TestEndpoint_anyHost(t *testing.T) {
	any := policy.Rules{Remotes: policy.Any()}
	for _, allowed := range []string{"wss://gw", "wss://gw.example.com:1/", "wss://10.0.0.7/", "wss://192.0.2.1:8443", "wss://[2001:db8::7]/", "wss://[fd00::1]/", "wss://0xg.example", "wss://a0x7f", "wss://127.0.0.1.example.com"} {
		if _, err := judge(any, allowed); err != nil {
			t.Errorf("%s: %v", allowed, err)
		}
	}
	for _, refused := range []string{
		"wss://127.0.0.1", "wss://127.1", "wss://127.0.1", "wss://127.255.255.254", "wss://2130706433", "wss://0x7f.1", "wss://0x7f000001", "wss://0X7F.0.0.1", "wss://0x7f.0x0.0x0.0x1", "wss://0177.0.0.1", "wss://017700000001",
		"wss://127.0.0.1.", "wss://127.1.", "wss://2130706433.", "wss://127.0.0.0x1", "wss://127.0.0.", "wss://0x", "wss://gw.0x", "wss://gw.1", "wss://127。0。0。1", "wss://１２７.0.0.1", "wss://①②⑦.0.0.①", "wss://127.0.0.1%25", "wss://0",
		"wss://localhost", "wss://LOCALHOST.", "wss://a.localhost:8443", "wss://ｌocalhost", "wss://0.0.0.0", "wss://0.0.0.1", "wss://169.254.169.254", "wss://168.63.129.16", "wss://224.0.0.1", "wss://255.255.255.255",
		"wss://[::1]", "wss://[::]", "wss://[::ffff:127.0.0.1]", "wss://[::ffff:7f00:1]", "wss://[::127.0.0.1]", "wss://[64:ff9b::7f00:1]", "wss://[2002:7f00:1::]", "wss://[fe80::1]", "wss://[fe80::1%25eth0]", "wss://[2001:db8::1%25eth0]", "wss://[ff02::1]",
	} {
		if e, err := judge(any, refused); reason.Of(err) != reason.PolicyRemote {
			t.Errorf("%s is dialed as %s (%v)", refused, e.URL, err)
		}
	}
}

func TestEndpoint_inALab(t *testing.T) {
	lab := policy.Rules{Remotes: remotes(t, "127.0.0.1:80", "localhost:8443", "gw.example:80"), Addresses: policy.Addresses{Loopback: true}, Plaintext: true}
	for _, allowed := range []string{"ws://127.0.0.1/", "ws://gw.example", "wss://localhost:8443", "ws://localhost:8443"} {
		if _, err := judge(lab, allowed); err != nil {
			t.Errorf("%s: %v", allowed, err)
		}
	}
	for _, refused := range []string{"ws://gw.example:443/", "wss://gw.example/", "http://gw.example/", "ws://127.1"} {
		if _, err := judge(lab, refused); err == nil {
			t.Errorf("%s is allowed", refused)
		}
	}
}

func TestRules_zeroAllowsNone(t *testing.T) {
	empty := policy.Rules{Remotes: remotes(t)}
	for _, rules := range []policy.Rules{{}, empty} {
		if _, err := judge(rules, "wss://gw.example.com/"); reason.Of(err) != reason.PolicyRemote {
			t.Errorf("%+v: %v", rules, err)
		}
	}
}

func TestEndpoint_errorsHoldNoSecret(t *testing.T) {
	for _, endpoint := range []string{"wss://site:canary@gw.example/", "wss://gw.example/canary?canary", "wss://gw.example:canary/", "wss://gw.example/%zz?canary", "canary://x", "wss://127.1/canary#canary"} {
		_, err := judge(policy.Rules{}, endpoint)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// One invalid pattern makes the result allow no host. The errors have the labels of the
// invalid patterns.
func TestParseRemotes_faults(t *testing.T) {
	for _, bad := range []string{
		"", "*", "*.", "*:443", "**.example.com", "a.*.example.com", "a*.example.com", "*example.com", "*.*.example.com", "example.*", "*.10.0.0.7", "*.7", "*.[2001:db8::7]", "[*.example.com]",
		"wss://gw.example.com", "gw.example.com/", "gw.example.com/path", "user@gw.example.com", "gw example.com", " gw.example.com", "gw.example.com ", "gw..example.com", ".example.com", ".", "gw.example.com?x", "gw.example.com\n",
		"gw.example.com:", "gw.example.com:0", "gw.example.com:65536", "gw.example.com:+443", "gw.example.com:443:443", "gw.example.com:https", "gw.example.com:4_4",
		"127.1", "0x7f.1", "2130706433", "10.0.0.7.", "10.0.0.07", "10.0.0.0/8", "2001:db8::7", "2001:db8::7:443", "[2001:db8::7", "[2001:db8::7]443", "[2001:db8::7]:", "[10.0.0.7]", "[gw.example.com]", "[fe80::1%eth0]", "[]", "[", "]",
		strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a.a",
	} {
		r, faults := policy.ParseRemotes(map[string]string{"good": "gw.example.com", "bad": bad})
		if len(faults) != 1 || faults["bad"] == nil {
			t.Errorf("%q: faults %v", bad, faults)
		}
		if text := faults["bad"].Error(); strings.Contains(bad, "*") && !strings.Contains(text, "*") && !strings.Contains(bad, ":") && bad[0] != '[' {
			t.Errorf("%q: %s", bad, text)
		}
		if r.Allows("gw.example.com", 443) {
			t.Errorf("%q beside a valid pattern allows a host", bad)
		}
	}
	for _, good := range []string{"gw", "GW.Example.com.", "*.Example.COM.:8443", "*.local", "[2001:DB8::7]", "[::ffff:10.0.0.7]:1", "10.0.0.7:65535", "127.0.0.1", "*.münchen.example", "my_gateway:8443"} {
		if _, faults := policy.ParseRemotes(map[string]string{"good": good}); len(faults) > 0 {
			t.Errorf("%q: %v", good, faults)
		}
	}
}

// A pattern allows the hosts that a comparison of the labels, from the right, allows.
func TestAllows_isByLabels(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	labels := []string{"a", "b", "ab", "ba", "example", "xexample", "com", "co", "m"}
	some := func(least int) []string {
		name := make([]string, least+random.IntN(3))
		for i := range name {
			name[i] = labels[random.IntN(len(labels))]
		}
		return name
	}
	allowed := 0
	for range 200_000 {
		pattern, host, below, ports := some(1), some(1), random.IntN(2) == 0, [2]int{443, 8443}
		if random.IntN(2) == 0 {
			host = append(some(0), pattern...)
		}
		want := slices.Equal(pattern, host)
		if below {
			want = len(host) > len(pattern) && slices.Equal(host[len(host)-len(pattern):], pattern)
		}
		patternPort, hostPort := ports[random.IntN(2)], ports[random.IntN(2)]
		want = want && patternPort == hostPort
		text := strings.Join(pattern, ".")
		if below {
			text = "*." + text
		}
		name := strings.Join(host, ".")
		if random.IntN(2) == 0 {
			name = strings.ToUpper(name) + "."
		}
		if want {
			allowed++
		}
		if got := remotes(t, text+":"+strconv.Itoa(patternPort)).Allows(name, hostPort); got != want {
			t.Fatalf("pattern %s:%d, host %s:%d: allowed is %t", text, patternPort, name, hostPort, got)
		}
	}
	if allowed < 1000 {
		t.Errorf("only %d hosts were allowed", allowed)
	}
}
