package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/gateway/config"
)

// folder has files of mode 0600, and returns its path.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const connection = "HostName=hub.test;SharedAccessKeyName=gateway;SharedAccessKey=Y2FuYXJ5"

// full has every kind of value.
const full = `
listen:
  public:
    - { address: ":443", cert: tls.crt, key: /tls/tls.key }
    - address: 0.0.0.0:8080
      trustedProxies: [10.0.0.0/8, "::1"]
  rtsps: { address: ":8322" }
  private: { pprof: true }
publicURL: https://gw.example.com/site/
hubs:
  main: { connectionStringFile: hub, discover: true }
cameras:
  edge1/front: { localPort: 554, path: /main, streams: { sub: { path: "/sub?x=1", codec: H264, width: 640 } }, credentials: site7, title: Front, video: front-door }
  lab/bench: &bench { url: "rtsp://10.0.0.9/live", keepOpen: true }
  lab/bench2: *bench
credentials:
  site7: { username: root, passwordFile: env:SITE7, cameras: ["edge1/*"] }
access:
  tokens:
    - { name: ops, role: admin, sha256File: ops }
    - { name: wall, role: viewer, cameras: ["edge1/*", "*"], tokenFile: wall, rtspDigest: true, expires: 2100-01-02T03:04:05Z, mayShare: true }
  origins: [https://portal.example]
  sealKeyFile: seal
limits: { viewers: 10, viewersPerAddress: 20, ring: 2MiB, lag: 1.5s }
live: { hls: { segment: 2s } }
page: false
log: { level: debug }
data: state
`

func TestLoad(t *testing.T) {
	hash, seal := strings.Repeat("0a", 32), strings.Repeat("canary", 6)
	dir := folder(t, map[string]string{"gateway.yaml": full, "hub": connection + "\r\n", "ops": hash, "wall": "rtt_clear\n", "seal": seal})
	c, err := config.Load(config.Options{File: filepath.Join(dir, "gateway.yaml"), Environ: []string{"SITE7=canary", "PATH=/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	want := &config.Config{
		Listen: config.Listen{
			Public: []config.Public{
				{Address: ":443", Cert: in("tls.crt"), Key: "/tls/tls.key"},
				{Address: "0.0.0.0:8080", TrustedProxies: []string{"10.0.0.0/8", "::1"}},
			},
			ACME:    config.ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory"},
			RTSP:    config.RTSP{Address: "127.0.0.1:8554"},
			RTSPS:   config.RTSPS{Address: ":8322", Cert: in("tls.crt"), Key: "/tls/tls.key"},
			Private: config.Private{Address: "127.0.0.1:9610", Pprof: true},
		},
		PublicURL: "https://gw.example.com/site",
		Hubs:      map[string]config.Hub{"main": {ConnectionStringFile: in("hub"), Discover: true, ConnectionString: connection}},
		Cameras: map[string]config.Camera{
			"edge1/front": {
				Hub: "main", Module: "rtsptunnel", LocalPort: 554, Path: "/main", Credentials: "site7", Title: "Front", Video: "front-door",
				Streams: map[string]config.Stream{"sub": {Path: "/sub?x=1", Codec: "H264", Width: 640}},
			},
			"lab/bench":  {URL: "rtsp://10.0.0.9/live", KeepOpen: true},
			"lab/bench2": {URL: "rtsp://10.0.0.9/live", KeepOpen: true},
		},
		Credentials: map[string]config.Credentials{"site7": {Username: "root", PasswordFile: "env:SITE7", Password: "canary", Cameras: []string{"edge1/*"}}},
		Access: config.Access{Tokens: []config.Token{
			{Name: "ops", Role: "admin", SHA256File: in("ops"), SHA256: hash},
			{
				MayShare: true,
				Name:     "wall", Role: "viewer", Cameras: []string{"edge1/*", "*"}, TokenFile: in("wall"), Clear: "rtt_clear", RTSPDigest: true,
				Expires: config.Time{Time: time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)},
			},
		}, Origins: []string{"https://portal.example"}, SealKeyFile: in("seal"), SealKey: config.Secret(seal)},
		Limits: config.Limits{
			Viewers: 10, ViewersPerCamera: 200, ViewersPerAddress: 20, OpenTunnels: 1000, Openings: 16, Ring: 2 << 20,
			RingAge: config.Duration(12 * time.Second), Lag: config.Duration(1500 * time.Millisecond),
		},
		Live:    config.Live{Grace: config.Duration(10 * time.Second), Opening: config.Duration(30 * time.Second), KeyFrame: config.Duration(10 * time.Second), HLS: config.HLS{Part: config.Duration(200 * time.Millisecond), Segment: config.Duration(2 * time.Second)}},
		Metrics: config.Metrics{Cameras: true},
		Log:     config.Log{Level: "debug", Format: "auto"},
		Data:    in("state"),
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "canary") || strings.Contains(text, "Y2FuYXJ5") || strings.Contains(text, "rtt_clear") {
		t.Error("a secret is printed")
	}
}

// load returns the lines of the error of a file in a folder with the files secret and hash.
func load(t *testing.T, text string, environ ...string) []string {
	t.Helper()
	dir := folder(t, map[string]string{"f": text, "secret": "canary", "hash": strings.Repeat("0", 64), "empty": "\n", "large": strings.Repeat("x", 70000)})
	_, err := config.Load(config.Options{File: filepath.Join(dir, "f"), Environ: environ})
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*config.Error](err); !ok {
		t.Errorf("the error is %T", err)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error has a value: %v", err)
	}
	return strings.Split(strings.ReplaceAll(err.Error(), dir+"/", ""), "\n")
}

const hub = "publicURL: https://gw.test\nhubs: { main: { connectionStringFile: secret } }\n" // two lines

func TestLoad_faults(t *testing.T) {
	token := func(text string) string { return "access: { tokens: [{ name: a, role: admin, " + text + " }] }" }
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":        {"# comment\n", nil},
		"no mapping":     {"- a\n", []string{"f:1:1: must be a mapping: keys with values"}},
		"syntax":         {"log: {\n  level: info\nx", []string{`f:3: is not YAML, here or below: did not find expected ',' or '}'`}},
		"syntax below":   {"log: { level: info }\n\nlisten: { rtsp: a: b }\n", []string{`f:3: is not YAML, here or below: did not find expected ',' or '}'`}},
		"open":           {"log: [ { level: info }\ndata: x\n", []string{`f:2: is not YAML, here or below: did not find expected ',' or ']'`}},
		"a tab":          {"log:\n\tlevel: info\n", []string{"f:2: is not YAML: the line begins with a tab; use blanks"}},
		"one port":       {"listen: { rtsp: { address: ':8554' }, private: { address: '127.0.0.1:8554' }, public: [{ address: '127.0.0.1:0' }, { address: '[::1]:0' }] }\n", []string{"f:1:59: listen.private.address: has the port of listen.rtsp.address"}},
		"unknown anchor": {"log: *canary", []string{"f: is not YAML: an alias refers to an unknown anchor"}},
		"stream's name":  {"cameras: { e/a: { url: 'rtsp://h' }, e/b: { url: 'rtsp://h', streams: { 'a b': { path: / } } } }", []string{`f:1:73: cameras.e/b.streams."a b": a name has 1 to 64 letters, digits, '.', '_' or '-'`}},
		"two documents":  {"log:\n---\nlog:\n", []string{"f:2:1: is a second document; a file has one"}},
		"twice":          {"log:\nlog:\n", []string{"f:2:1: log: stands twice"}},
		"merge":          {"log: { <<: { level: info } }", []string{"f:1:8: log: has a key that is not a text"}},
		"tag":            {"log: { level: !canary info }", []string{"f:1:15: log.level: has a value of a type that this file does not have"}},
		"cycle":          {"hubs: &a { b: *a }", []string{"f:1:15: hubs" + strings.Repeat(".b", 16) + ": the file has too many values, or nests them too deeply"}},
		"unknown":        {"lissten:\n", nil}, // a key without a value is absent
		"unknown key":    {"log: { levl: info }\nfoo: 1\ncamera: {}\n", []string{"f:1:8: log.levl: unknown key, did you mean level?", "f:2:1: foo: unknown key; there are access, cameras, credentials, data, hubs, limits, listen, live, log, metrics, page, publicURL", "f:3:1: camera: unknown key, did you mean cameras?"}},
		"later issue":    {"recording: { store: x }\n", []string{"f:1:1: recording: unknown key; there are access, cameras, credentials, data, hubs, limits, listen, live, log, metrics, page, publicURL"}},
		"types":          {"log: []\nlimits: { viewers: many, openings: 0 }\nlisten: { private: { pprof: 1 }, public: 1 }\n", []string{"f:1:6: log: must be a mapping: keys with values", "f:2:20: limits.viewers: must be an integer from 1 to 100000", "f:2:36: limits.openings: must be an integer from 1 to 1000", "f:3:29: listen.private.pprof: must be true or false", "f:3:42: listen.public: must be a sequence: [a, b], or lines that begin with -"}},
		"enum":           {"log: { level: canary }\n", []string{"f:1:15: log.level: must be one of debug, info, warn, error"}},
		"text":           {hub + "credentials: { a: { username: 5 } }", []string{"f:3:31: credentials.a.username: must be a text (a number or true as a text needs quotes)"}},
		"missing":        {"hubs: { a: {} }\n", []string{"f:1:9: hubs.a.connectionStringFile: is missing"}},
		"no public URL":  {"hubs: { main: { connectionStringFile: secret } }\n", []string{"f:1:1: publicURL: is missing: modules open their tunnels to it (TUNNELGATEWAY_PUBLIC_URL sets it, too)"}},
		"public URL":     {"publicURL: https://me:canary@gw.test", []string{"f:1:12: publicURL: must be an https URL without login, query and fragment"}},
		"plain URL":      {"publicURL: http://gw.test", []string{"f:1:12: publicURL: must begin with https: modules open tunnels with TLS alone"}},
		"URL of a lab":   {"publicURL: http://127.0.0.1:8080", nil},
		"name":           {"cameras: { front: {} }\n", []string{"f:1:12: cameras.front: the name of a camera is DEVICE/CAMERA, each with the characters that IoT Hub allows"}},
		"no hub":         {"cameras: { e/front: { localPort: 1 } }\n", []string{"f:1:21: cameras.e/front: needs hub, for a camera behind a module, or url"}},
		"unknown hub":    {hub + "cameras: { e/front: { hub: mian } }\n", []string{"f:3:28: cameras.e/front.hub: is not a key of hubs, did you mean main?"}},
		"credentials":    {hub + "cameras: { e/front: { credentials: canary } }\n", []string{"f:3:36: cameras.e/front.credentials: is not a key of credentials"}},
		"login in URL":   {"cameras: { e/front: { url: 'rtsp://me:canary@h/' } }\n", []string{"f:1:28: cameras.e/front.url: must be an rtsp URL without a login"}},
		"direct":         {"cameras: { e/front: { url: 'rtsp://h/', path: / } }\n", []string{"f:1:21: cameras.e/front: has url, so hub, module, localPort, path and streams.main are not for it"}},
		"two paths":      {hub + "cameras: { e/f: { path: /a, streams: { main: { path: /b } } } }\n", []string{"f:3:17: cameras.e/f: has both path and streams.main, which are the same"}},
		"videos":         {hub + "cameras: { e/a: { video: x }, e/b: { video: x } }\n", []string{"f:3:45: cameras.e/b.video: is the video of e/a, too"}},
		"no TLS":         {"listen: { public: [{ address: ':443' }] }", []string{"f:1:20: listen.public[0]: needs cert and key, or a publicURL with a DNS name, for which a certificate is obtained by ACME; plain HTTP is for loopback addresses, or for reverse proxies that trustedProxies names"}},
		"half of TLS":    {"listen: { public: [{ address: ':443', cert: x }] }", []string{"f:1:20: listen.public[0]: needs both cert and key"}},
		"RTSPS":          {"listen: { rtsps: { address: ':8322' } }", []string{"f:1:18: listen.rtsps: needs cert and key, here or at a public listener"}},
		"port":           {"listen: { private: { address: ':99999' } }", []string{"f:1:31: listen.private.address: must be HOST:PORT or :PORT"}},
		"proxies":        {"listen: { public: [{ address: 'h:1', trustedProxies: [canary] }] }", []string{"f:1:55: listen.public[0].trustedProxies[0]: must be an IP address or a network such as 10.0.0.0/8"}},
		"all proxies":    {"listen: { public: [{ address: 'h:1', trustedProxies: ['::/0'] }] }", []string{"f:1:55: listen.public[0].trustedProxies[0]: is every address: name the networks of the proxies"}},
		"user":           {"credentials: { a: { passwordFile: secret }, b: { username: x, usernameFile: secret } }", []string{"f:1:19: credentials.a: needs username or usernameFile", "f:1:48: credentials.b: has both username and usernameFile"}},
		"token":          {token("cameras: []"), []string{"f:1:20: access.tokens[0]: needs exactly one of sha256, sha256File and tokenFile"}},
		"digest":         {token("sha256File: hash, rtspDigest: true"), []string{"f:1:74: access.tokens[0].rtspDigest: needs tokenFile: Digest logins are judged by the token in clear"}},
		"no hash":        {token("sha256File: secret"), []string{"f:1:56: access.tokens[0].sha256File: names a file or a variable that is not 64 hexadecimal digits"}},
		"inline secret":  {token("sha256: canary"), []string{"f:1:52: access.tokens[0].sha256: must be 64 hexadecimal digits"}},
		"same token":     {"access: { tokens: [{ name: a, role: admin, sha256File: hash }, { name: a, role: admin, sha256File: hash }] }", []string{"f:1:72: access.tokens[1].name: is the name of an earlier token, too"}},
		"date":           {token("sha256File: hash, expires: 2030-13-45T99:99:99Z"), []string{"f:1:71: access.tokens[0].expires: must be a time such as 2030-01-31T12:00:00Z"}},
		"range":          {"limits: { lag: 1h, ring: 1B }", []string{"f:1:16: limits.lag: must be from 100ms to 1m0s", "f:1:26: limits.ring: must be from 1MiB to 1GiB"}},
		"parts":          {"live: { hls: { part: 20ms, segment: 20s } }", []string{"f:1:22: live.hls.part: must be from 100ms to 1s", "f:1:37: live.hls.segment: must be from 500ms to 10s"}},
		"long parts":     {"live: { hls: { part: 800ms, segment: 600ms } }", []string{"f:1:22: live.hls.part: is longer than a segment"}},
		"origin":         {"access: { origins: ['https://a/b', null] }", []string{"f:1:21: access.origins[0]: must be an origin such as https://portal.example", "f:1:36: access.origins[1]: must be an origin such as https://portal.example"}},
		"origin's host":  {"access: { origins: ['https://[::1', 'https://:1'] }", []string{"f:1:21: access.origins[0]: must be an origin such as https://portal.example", "f:1:37: access.origins[1]: must be an origin such as https://portal.example"}},
		"short seal key": {"access: { sealKeyFile: secret }", []string{"f:1:24: access.sealKeyFile: names a file or a variable with less than 32 characters: openssl rand -hex 32 makes one"}},
		"duration":       {"live: { grace: 10 }", []string{"f:1:16: live.grace: must be a duration such as 500ms, 10s or 5m"}},
		"missing file":   {"publicURL: https://h\nhubs: { main: { connectionStringFile: none } }", []string{"f:2:39: hubs.main.connectionStringFile: names a file that cannot be read: no such file or directory"}},
		"variable":       {"publicURL: https://h\nhubs: { main: { connectionStringFile: 'env:NONE' } }", []string{"f:2:39: hubs.main.connectionStringFile: names a file or a variable that is empty"}},
		"empty file":     {"publicURL: https://h\nhubs: { main: { connectionStringFile: empty } }", []string{"f:2:39: hubs.main.connectionStringFile: names a file or a variable that is empty"}},
		"large file":     {"publicURL: https://h\nhubs: { main: { connectionStringFile: large } }", []string{"f:2:39: hubs.main.connectionStringFile: names a file that has more than 64 KiB"}},
		"no file":        {"publicURL: https://h\nhubs: { main: { connectionStringFile: . } }", []string{"f:2:39: hubs.main.connectionStringFile: names a file that is not a regular file"}},
		"odd key":        {"log: { \"a\\nb\": 1 }\n", []string{`f:1:8: log."a\nb": unknown key; there are format, level`}},
		"index as a key": {"limits: { viewers: {} }\n", []string{"f:1:20: limits.viewers: must be an integer from 1 to 100000"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, load(t, c.text)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLoad_hugeFiles(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'p'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	var cameras strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&cameras, "  e/c%d: { hub: none, localPort: 0 }\n", i)
	}
	for name, c := range map[string]struct{ text, want string }{
		"bytes":    {strings.Repeat("#", 5<<20), "has more than"},
		"values":   {"a: [" + strings.Repeat("1,", 1<<20) + "]", "has too many values"},
		"depth":    {strings.Repeat("[", 100_000), "max depth"},
		"aliases":  {bomb, "too many values, or nests them too deeply"},
		"mistakes": {"cameras:\n" + cameras.String(), "and 80 more"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(load(t, c.text), "\n")
			if !strings.Contains(got, c.want) || len(got) > 8000 {
				t.Errorf("got %.300s", got)
			}
		})
	}
}

func TestLoad_warnings(t *testing.T) {
	dir := folder(t, map[string]string{"secret": "x", "f": hub + `
listen: { rtsp: { address: ":8554" }, private: { address: "0.0.0.0:1" } }
access: { tokens: [{ name: a, role: viewer, tokenFile: secret, expires: 2001-01-01T00:00:00+01:00 }] }
`})
	if err := os.Chmod(filepath.Join(dir, "secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{File: filepath.Join(dir, "f")})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(c.Warnings, "\n")
	for _, want := range []string{
		"f:2:39: hubs.main.connectionStringFile: names a file that all users of the machine can read",
		"f:4:28: listen.rtsp.address: serves RTSP without TLS beyond this machine",
		"f:4:59: listen.private.address: serves metrics",
		"f:5:20: access.tokens[0]: is a viewer without cameras",
		"f:5:73: access.tokens[0].expires: is in the past",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// A listener beyond loopback without a certificate gets one for the public URL's name; a
// loopback address and one of an IP address do not.
func TestLoad_acme(t *testing.T) {
	for text, want := range map[string][2]bool{
		"publicURL: https://gw.example.com\nlisten: { public: [{ address: ':443' }], rtsps: { address: ':8322' } }\n":                  {true, true},
		"publicURL: https://gw.example.com\nlisten: { public: [{ address: '127.0.0.1:80' }] }\n":                                       {},
		"publicURL: https://gw.example.com\nlisten: { public: [{ address: ':443', cert: a, key: b }], rtsps: { address: ':8322' } }\n": {},
		"publicURL: https://gw.example.com\nlisten: { public: [{ address: ':80', trustedProxies: [10.0.0.1] }] }\n":                    {},
		"publicURL: https://gw.example.com\nlisten: { public: [{ address: ':443' }], rtsps: { address: ':8322', cert: a, key: b } }\n": {true, false},
	} {
		c, err := config.Load(config.Options{File: filepath.Join(folder(t, map[string]string{"f": text}), "f")})
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{c.Listen.Public[0].UseACME, c.Listen.RTSPS.UseACME}; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if got := load(t, "publicURL: https://192.0.2.1\nlisten: { public: [{ address: ':443' }] }\n"); len(got) != 1 {
		t.Errorf("an address as the public URL's host: %q", got)
	}
}

func TestLoad_withoutSecrets(t *testing.T) {
	dir := folder(t, map[string]string{"f": "publicURL: https://h\nhubs: { main: { connectionStringFile: none } }\n"})
	if _, err := config.Load(config.Options{File: filepath.Join(dir, "f"), WithoutSecrets: true}); err != nil {
		t.Error(err)
	}
}

func TestChanged(t *testing.T) {
	dir := folder(t, map[string]string{"f": hub, "secret": "a"})
	source := config.NewSource(config.Options{File: filepath.Join(dir, "f")})
	if _, err := source.Load(); err != nil {
		t.Fatal(err)
	}
	if source.Changed() {
		t.Error("changed without a change")
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"f", "secret"} {
		write(name, "b")
		if !source.Changed() {
			t.Errorf("a change of %s is not seen", name)
		}
		write("f", hub)
		write("secret", "a")
	}
	if source.Changed() {
		t.Error("the first content again is a change")
	}
	if err := os.Remove(filepath.Join(dir, "secret")); err != nil || !source.Changed() {
		t.Errorf("a removal is not seen, %v", err)
	}
	if _, err := source.Load(); err == nil || source.Changed() {
		t.Errorf("after an error (%v), the same content is a change", err)
	}
	if write("secret", "a"); !source.Changed() {
		t.Error("the end of an error is not seen")
	}
}
