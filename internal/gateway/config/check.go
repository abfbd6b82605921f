package config

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rtsptunnel/internal/gateway/name"
)

// check judges what the schema cannot express, and fills in values that depend on others.
func (l *loader) check() {
	l.checkListeners()
	l.checkPublicURL()
	for _, login := range slices.Sorted(maps.Keys(l.Credentials)) {
		l.checkCredentials(login)
	}
	l.checkNames()
	videos := map[string]string{}
	for _, camera := range slices.Sorted(maps.Keys(l.Cameras)) {
		l.checkCamera(camera)
		video := l.Cameras[camera].Video
		if other := videos[video]; other != "" {
			l.report("is the video of "+printable(other)+", too", "cameras", camera, "video")
		} else if video != "" {
			videos[video] = camera
		}
	}
	l.checkTokens()
	l.checkOrigins()
	l.checkRanges()
}

// checkNames judges names of cameras and globs by their grammar, of which the schema's
// patterns are an outline.
func (l *loader) checkNames() {
	for _, camera := range slices.Sorted(maps.Keys(l.Cameras)) {
		if err := name.CheckCamera(camera); err != nil {
			l.report(err.Error(), "cameras", camera)
		}
		for _, stream := range slices.Sorted(maps.Keys(l.Cameras[camera].Streams)) {
			if !name.IsLabel(stream) {
				l.report("a stream's name has 1 to 64 letters, digits, '_' or '-'", "cameras", camera, "streams", stream)
			}
		}
	}
	globs := func(list []string, path ...string) {
		for i, glob := range list {
			if err := name.CheckGlob(glob); err != nil {
				l.report(err.Error(), extend(path, strconv.Itoa(i))...)
			}
		}
	}
	for _, login := range slices.Sorted(maps.Keys(l.Credentials)) {
		globs(l.Credentials[login].Cameras, "credentials", login, "cameras")
	}
	for i, t := range l.Access.Tokens {
		globs(t.Cameras, "access", "tokens", strconv.Itoa(i), "cameras")
	}
}

func (l *loader) checkListeners() {
	for i := range l.Listen.Public {
		l.checkPublic(i)
	}
	l.checkPort(l.Listen.RTSP.Address, "listen", "rtsp", "address")
	l.checkPort(l.Listen.Private.Address, "listen", "private", "address")
	l.checkDistinct()
	if !loopback(l.Listen.RTSP.Address) {
		l.warn("serves RTSP without TLS beyond this machine: tokens and video can be read on the network; listen.rtsps has TLS", "listen", "rtsp", "address")
	}
	if !loopback(l.Listen.Private.Address) {
		l.warn("serves metrics and profiles beyond this machine, without a login", "listen", "private", "address")
	}
	s := &l.Listen.RTSPS
	if s.Address == "" {
		return
	}
	l.checkPort(s.Address, "listen", "rtsps", "address")
	if i := slices.IndexFunc(l.Listen.Public, func(p Public) bool { return p.Cert != "" || p.UseACME }); i >= 0 && s.Cert == "" && s.Key == "" {
		s.Cert, s.Key, s.UseACME = l.Listen.Public[i].Cert, l.Listen.Public[i].Key, l.Listen.Public[i].UseACME
	}
	if !s.UseACME && (s.Cert == "" || s.Key == "") {
		l.report("needs cert and key, here or at a public listener", "listen", "rtsps")
	}
}

// checkDistinct finds two listeners that would need one port. Port 0 is any free one.
func (l *loader) checkDistinct() {
	type listener struct{ address, path string }
	listeners := []listener{{l.Listen.RTSP.Address, "listen.rtsp.address"}, {l.Listen.RTSPS.Address, "listen.rtsps.address"}, {l.Listen.Private.Address, "listen.private.address"}}
	for i, p := range l.Listen.Public {
		listeners = append(listeners, listener{p.Address, "listen.public." + strconv.Itoa(i) + ".address"})
	}
	for i, one := range listeners {
		for _, other := range listeners[:i] {
			if clash(one.address, other.address) {
				l.report("has the port of "+dotted(strings.Split(other.path, ".")), strings.Split(one.path, ".")...)
			}
		}
	}
}

// clash tells whether two addresses have one port of one host, or of all.
func clash(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	all := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return errA == nil && errB == nil && portA == portB && portA != "0" && (hostA == hostB || all(hostA) || all(hostB))
}

func (l *loader) checkPublic(i int) {
	p, path := l.Listen.Public[i], []string{"listen", "public", strconv.Itoa(i)}
	l.checkPort(p.Address, extend(path, "address")...)
	switch {
	case (p.Cert == "") != (p.Key == ""):
		l.report("needs both cert and key", path...)
	case p.Cert != "" || loopback(p.Address) || len(p.TrustedProxies) > 0:
	case l.publicName() != "":
		l.Listen.Public[i].UseACME = true
	default:
		l.report("needs cert and key, or a publicURL with a DNS name, for which a certificate is obtained by ACME; "+
			"plain HTTP is for loopback addresses, or for reverse proxies that trustedProxies names", path...)
	}
	for j, text := range p.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if err == nil && network.Bits() == 0 {
			l.report("is every address: name the networks of the proxies", extend(extend(path, "trustedProxies"), strconv.Itoa(j))...)
		}
		if _, addrErr := netip.ParseAddr(text); err != nil && addrErr != nil {
			l.report("must be an IP address or a network such as 10.0.0.0/8", extend(extend(path, "trustedProxies"), strconv.Itoa(j))...)
		}
	}
}

// publicName returns the host of the public URL if an ACME server can have a certificate for
// it: a DNS name with a dot.
func (l *loader) publicName() string {
	u, err := url.Parse(l.PublicURL)
	if err != nil || u.Scheme != "https" || !strings.Contains(u.Hostname(), ".") {
		return ""
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return ""
	}
	return u.Hostname()
}

// checkPort judges what the pattern of an address leaves open.
func (l *loader) checkPort(address string, path ...string) {
	_, port, err := net.SplitHostPort(address)
	if n, numErr := strconv.Atoi(port); err != nil || numErr != nil || n > 65535 {
		l.report("must be HOST:PORT or :PORT", path...)
	}
}

// loopback tells whether only this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (l *loader) checkPublicURL() {
	if l.PublicURL == "" {
		if len(l.Hubs) > 0 {
			l.report("is missing: modules open their tunnels to it (TUNNELGATEWAY_PUBLIC_URL sets it, too)", "publicURL")
		}
		return
	}
	u, err := url.Parse(l.PublicURL)
	if err != nil || u.User != nil || u.Host == "" {
		l.report("must be an https URL without login, query and fragment", "publicURL")
		return
	}
	if u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "80")) {
		l.report("must begin with https: modules open tunnels with TLS alone", "publicURL")
	}
	l.PublicURL = strings.TrimRight(l.PublicURL, "/")
}

func (l *loader) checkCredentials(login string) {
	c := l.Credentials[login]
	switch {
	case c.Username != "" && c.UsernameFile != "":
		l.report("has both username and usernameFile", "credentials", login)
	case c.Username == "" && c.UsernameFile == "":
		l.report("needs username or usernameFile", "credentials", login)
	}
}

func (l *loader) checkCamera(camera string) {
	c := l.Cameras[camera]
	if c.Credentials != "" {
		if _, ok := l.Credentials[c.Credentials]; !ok {
			l.report("is not a key of credentials"+didYouMean(c.Credentials, l.Credentials), "cameras", camera, "credentials")
		}
	}
	if _, both := c.Streams["main"]; both && c.Path != "" {
		l.report("has both path and streams.main, which are the same", "cameras", camera)
	}
	if c.URL != "" {
		l.checkDirect(camera, c)
		return
	}
	if c.Hub == "" && len(l.Hubs) == 1 {
		for only := range l.Hubs {
			c.Hub = only
		}
	}
	_, known := l.Hubs[c.Hub]
	switch {
	case c.Hub != "" && !known:
		l.report("is not a key of hubs"+didYouMean(c.Hub, l.Hubs), "cameras", camera, "hub")
	case len(l.Hubs) == 0, c.Hub == "" && c.LocalPort != 0:
		l.report("needs hub, for a camera behind a module, or url", "cameras", camera)
	}
	if c.Module == "" {
		c.Module = defaultModule
	}
	l.Cameras[camera] = c
}

// checkDirect judges a camera that the gateway reaches without a tunnel.
func (l *loader) checkDirect(camera string, c Camera) {
	if u, err := url.Parse(c.URL); err != nil || u.User != nil || u.Hostname() == "" {
		l.report("must be an rtsp URL without a login", "cameras", camera, "url")
	}
	_, main := c.Streams["main"]
	if c.Hub != "" || c.Module != "" || c.LocalPort != 0 || c.Path != "" || main {
		l.report("has url, so hub, module, localPort, path and streams.main are not for it", "cameras", camera)
	}
}

func didYouMean[V any](name string, known map[string]V) string {
	if near := nearest(name, slices.Collect(maps.Keys(known))); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

func (l *loader) checkTokens() {
	names := map[string]bool{}
	for i, t := range l.Access.Tokens {
		path := []string{"access", "tokens", strconv.Itoa(i)}
		if names[t.Name] {
			l.report("is the name of an earlier token, too", extend(path, "name")...)
		}
		names[t.Name] = true
		sources := 0
		for _, s := range []string{t.SHA256, t.SHA256File, t.TokenFile} {
			if s != "" {
				sources++
			}
		}
		switch {
		case sources != 1:
			l.report("needs exactly one of sha256, sha256File and tokenFile", path...)
		case t.RTSPDigest && t.TokenFile == "":
			l.report("needs tokenFile: Digest logins are judged by the token in clear", extend(path, "rtspDigest")...)
		}
		if t.Role == "viewer" && len(t.Cameras) == 0 {
			l.warn("is a viewer without cameras, so it may watch none", path...)
		}
		if t.Expires.Equal(never) {
			l.report("must be a time such as 2030-01-31T12:00:00Z", extend(path, "expires")...)
		} else if !t.Expires.IsZero() && t.Expires.Before(time.Now()) {
			l.warn("is in the past: the token is invalid", extend(path, "expires")...)
		}
	}
}

// checkOrigins judges what the pattern of an origin leaves open.
func (l *loader) checkOrigins() {
	for i, text := range l.Access.Origins {
		if u, err := url.Parse(text); err != nil || u.Hostname() == "" {
			l.report("must be an origin such as https://portal.example", "access", "origins", strconv.Itoa(i))
		}
	}
}

// checkRanges judges durations and sizes, which are texts for the schema.
func (l *loader) checkRanges() {
	for _, r := range []struct {
		key         string
		value       Duration
		least, most time.Duration
	}{
		{"limits.ringAge", l.Limits.RingAge, time.Second, 5 * time.Minute},
		{"limits.lag", l.Limits.Lag, 100 * time.Millisecond, time.Minute},
		{"live.grace", l.Live.Grace, 0, 24 * time.Hour},
		{"live.opening", l.Live.Opening, time.Second, 5 * time.Minute},
		{"live.keyFrame", l.Live.KeyFrame, time.Second, 5 * time.Minute},
		{"live.hls.part", l.Live.HLS.Part, 100 * time.Millisecond, time.Second},
		{"live.hls.segment", l.Live.HLS.Segment, 500 * time.Millisecond, 10 * time.Second},
	} {
		if d := time.Duration(r.value); d < r.least || d > r.most {
			l.report("must be from "+r.least.String()+" to "+r.most.String(), strings.Split(r.key, ".")...)
		}
	}
	if l.Live.HLS.Part > l.Live.HLS.Segment {
		l.report("is longer than a segment", "live", "hls", "part")
	}
	if ring := l.Limits.Ring; ring < 1<<20 || ring > 1<<30 {
		l.report("must be from 1MiB to 1GiB", "limits", "ring")
	}
}
