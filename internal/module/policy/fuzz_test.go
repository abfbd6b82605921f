package policy_test

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/policy"
)

// number matches what inet_aton reads as a number.
var number = regexp.MustCompile(`^(0[xX][0-9a-fA-F]*|[0-9]+)$`)

// An endpoint is refused, or the host that is dialed is the host that was judged: an
// address, or a name in ASCII that no resolver can read as an address.
func FuzzEndpoint(f *testing.F) {
	good := remotes(f, "*.good.example", "good.example", "[2001:db8::7]:8443", "10.0.0.7")
	f.Add("wss://a.good.example:443/x?y")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := judge(policy.Rules{Remotes: policy.Any()}, text)
		if err != nil {
			if reason.Of(err) != reason.PolicyRemote {
				t.Fatal(err)
			}
			return
		}
		u, err := url.Parse(e.URL.String())
		if err != nil {
			t.Fatal(err)
		}
		port := u.Port()
		if port == "" {
			port = "443"
		}
		name := strings.TrimSuffix(u.Hostname(), ".")
		if u.Scheme != "wss" || u.User != nil || name != e.Host || port != strconv.Itoa(e.Port) {
			t.Errorf("%q: judged %+v, dialed %s", text, e, e.URL)
		}
		if again, err := policy.NewEndpoint(u); err != nil || !same(again, e) {
			t.Errorf("%q: %+v is read again as %+v (%v)", text, e, again, err)
		}
		if addr, err := netip.ParseAddr(name); e.Addr.IsValid() != (err == nil) || e.Addr != addr {
			t.Errorf("%q: address %v, dialed %s", text, e.Addr, name)
		}
		last := name[strings.LastIndexByte(name, '.')+1:]
		if number.MatchString(last) && !e.Addr.IsValid() {
			t.Errorf("%q: a resolver may read %s as an address", text, name)
		}
		if strings.ToLower(name) != name || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Errorf("%q: name %q", text, name)
		}
		isGood := (name == "good.example" || strings.HasSuffix(name, ".good.example") || name == "10.0.0.7") && e.Port == 443 ||
			name == "2001:db8::7" && e.Port == 8443
		if good.Allows(e.Host, e.Port) != isGood {
			t.Errorf("%q: %s port %d allowed is %t", text, name, e.Port, !isGood)
		}
	})
}

// A pattern is invalid and allows nothing, or allows exactly its own hosts.
func FuzzParseRemotes(f *testing.F) {
	f.Add("*.good.example:8443")
	f.Fuzz(func(t *testing.T, text string) {
		r, faults := policy.ParseRemotes(map[string]string{"l": text})
		if len(faults) > 0 {
			if r.Allows("good.example", 443) {
				t.Errorf("%q is refused and allows", text)
			}
			return
		}
		if host, below := strings.CutPrefix(text, "*."); below && !strings.Contains(host, ":") && len(host) < 240 {
			if !r.Allows("x."+host, 443) || r.Allows(host, 443) {
				t.Errorf("%q does not allow x.%s alone", text, host)
			}
		}
		if r.Allows("evil.invalid", 443) && !strings.Contains(strings.ToLower(text), "invalid") && !strings.ContainsFunc(text, func(c rune) bool { return c > '~' }) {
			t.Errorf("%q allows evil.invalid", text)
		}
	})
}
