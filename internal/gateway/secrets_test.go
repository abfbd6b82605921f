package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/gateway/gatewayctl"
	"rtsptunnel/internal/testkit/rtsptest"
)

// No secret reaches a log line at any level, an answer of the API, of RTSP or of the private
// listener, a command's output, an error or the data folder, whatever fails, and wherever a
// user puts a token by mistake.
func TestSecrets(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	valid, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	s.rtspSinks(t, &seen)
	minted := s.mint(t)
	s.httpSinks(t, &seen, append(slices.Collect(maps.Values(minted)), s.admin)...)
	s.commandSinks(t, &seen) // beside a running gateway

	s.replace(t, "hubs: { main: { connectionStringFile: '"+s.hub.OwnerConnectionString()+"' } }\nfoo: '"+password+"'\n"+
		"access: { tokens: [{ name: x, role: admin, sha256: "+s.admin+" }] }\n")
	s.log.AwaitFields(t, 1, "level=error", "message=configuration is invalid: the last valid one stays in force")
	_, body := s.get(t, "/readyz")
	seen.WriteString(body)
	s.commandSinks(t, &seen)
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	s.write(t, string(valid))
	s.commandSinks(t, &seen) // without it
	s.front.Close()
	s.commandSinks(t, &seen)
	s.hub.Stop(t)
	s.commandSinks(t, &seen)
	s.folderSinks(t, &seen)
	seen.WriteString(s.log.String())
	seen.WriteString(s.notice.String())
	seen.WriteString(s.moduleLog.String())
	s.noSecret(t, seen.String())
	for name, secret := range minted {
		if at := strings.Index(seen.String(), secret[len(secret)/2:]); at >= 0 {
			t.Errorf("%s is shown: ...%s***", name, seen.String()[max(0, at-300):at])
		}
	}
	if seen.Len() < 20_000 {
		t.Errorf("only %d bytes were looked at", seen.Len())
	}
}

// rtspSinks collects what players see, with right and wrong logins.
func (s *site) rtspSinks(t *testing.T, seen *bytes.Buffer) {
	t.Helper()
	for _, u := range []string{
		s.url(t, "edge1/front", "ops", s.admin), s.url(t, "edge1/front", "ops", s.wall), s.url(t, "edge1/none", "ops", s.admin),
	} {
		if _, err := rtsptest.Pull(within(t, time.Minute), u, 1); err != nil {
			seen.WriteString(err.Error())
		}
	}
	basic := func(user, password string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
	}
	for _, request := range []struct{ path, headers string }{
		{"edge1/front?token=" + s.admin, ""},
		{"edge1/front?token=" + s.wall, ""},
		{"edge1/none?token=" + s.admin, ""},
		{"edge1/front/" + s.admin, ""},
		{"edge1/" + s.admin, ""},
		{s.admin, ""},
		{"edge1/front/" + s.admin, basic("ops", s.admin)},
		{"%72tt" + s.admin[3:] + "/x", basic("ops", s.admin)},
		{"edge1/front", basic(s.admin, "")},
		{"edge1/front", basic(s.admin, "x")},
		{"edge1/front", "User-Agent: " + s.admin + "\r\n" + basic("ops", s.admin)},
		{"edge1/front", "Authorization: " + s.admin + "\r\n"},
		{"edge1/front", `Authorization: Digest username="` + s.admin + `", realm="x", nonce="x", uri="x", response="x"` + "\r\n"},
	} {
		conn, err := net.Dial("tcp", s.address(t, "rtsp"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		target := "rtsp://" + s.address(t, "rtsp") + "/" + request.path
		if _, err := io.WriteString(conn, "DESCRIBE "+target+" RTSP/1.0\r\nCSeq: 1\r\n"+request.headers+"\r\nOPTIONS * RTSP/1.0\r\nCSeq: last\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		for line := ""; !strings.Contains(line, "CSeq: last"); seen.WriteString(line) {
			if line, err = in.ReadString('\n'); err != nil {
				break
			}
			line = strings.ReplaceAll(line, target, "") // what the player itself sent is no news
		}
		conn.Close()
	}
}

// mint returns what the API gives out: secrets for browsers.
func (s *site) mint(t *testing.T) map[string]string {
	t.Helper()
	post := func(path, body string) (fields map[string]any, header http.Header) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.public+"/site"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+s.admin)
		request.Header.Set("Content-Type", "application/json")
		response, err := (&http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool()}}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		_ = json.NewDecoder(response.Body).Decode(&fields) // an answer without a body has none
		return fields, response.Header
	}
	content, _ := post("/api/tokens", `{"camera":"edge1/front"}`)
	share, _ := post("/api/shares", `{"camera":"edge1/front","end":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
	code, _ := post("/api/logins", `{}`)
	_, header := post("/login", `{"token":"`+s.admin+`"}`)
	_, cookie, _ := strings.Cut(header.Get("Set-Cookie"), "=")
	cookie, _, _ = strings.Cut(cookie, ";")
	minted := map[string]string{
		"a content token": fmt.Sprint(content["token"]), "a share's secret": fmt.Sprint(share["secret"]), "a one-time login": fmt.Sprint(code["code"]), "a cookie": cookie,
	}
	for name, secret := range minted {
		if len(secret) < 40 {
			t.Fatalf("no %s: %q", name, secret)
		}
	}
	return minted
}

// httpSinks collects the answers of both HTTP listeners to requests with these secrets.
func (s *site) httpSinks(t *testing.T, seen *bytes.Buffer, secrets ...string) {
	t.Helper()
	client := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool()}}
	for _, secret := range secrets {
		for _, path := range []string{
			"/site/api/cameras", "/site/api/cameras/edge1/front", "/site/api/cameras/edge1/front/" + secret, "/site/api/cameras/" + secret, "/site/api/viewers",
			"/site/api/viewers/" + secret, "/site/api/none?token=" + secret, "/site/api/cameras?after=" + secret, "/site/tunnel/" + secret,
			"/site/tunnel/x?token=" + secret, "/" + secret, "/site/api//" + secret, "/site/api/%" + hex.EncodeToString([]byte(secret[:1])) + secret[1:],
			"/site/live/edge1/front/mse?token=" + secret, "/site/live/edge1/front/rtsp?authorization=" + secret, "/site/live/edge1/front/still.mp4?p=" + secret,
			"/site/live/edge1/" + secret + "/mse", "/site/live/edge1/front/hls/" + secret, "/site/rtsp-tunnel/" + secret, "/site/watch?" + secret, "/site/embed/edge1/front?token=" + secret,
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
				request, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.public+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Authorization", "Bearer "+secret)
				request.Header.Set("Cookie", "__Secure-rtsptunnel="+secret)
				request.Header.Set("Referer", "https://"+s.public+path)
				response, err := client.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				response.Header.Del("Location") // net/http repeats the path
				_ = response.Header.Write(seen)
				if response.StatusCode/100 != 3 {
					_, _ = io.Copy(seen, response.Body)
				}
				response.Body.Close()
			}
		}
	}
	_, body := s.api(t, http.MethodPost, "/api/cameras/edge1/front:diagnose", s.admin)
	seen.WriteString(body)
	for _, path := range []string{"/metrics", "/readyz", "/livez"} {
		_, body := s.get(t, path)
		seen.WriteString(body)
	}
}

// commandSinks collects the output of the program's commands for the configuration.
func (s *site) commandSinks(t *testing.T, seen *bytes.Buffer) {
	t.Helper()
	for _, args := range [][]string{
		{"validate", s.file},
		{"validate", "--json", s.file},
		{"check", "--config", s.file},
		{"check", "--config", s.file, "--json"},
		{"open", "--config", s.file, "edge1/front"},
		{"open", "--config", s.file, "--json", "edge1/front"},
		{"open", "--config", s.file, s.admin},
		{"healthcheck", "--config", s.file},
		{"run", "--config", s.file + "none"},
	} {
		gatewayctl.Run(t.Context(), args, os.Environ(), strings.NewReader(""), seen, seen)
	}
}

// folderSinks collects the data folder, whose files are the owner's alone.
func (s *site) folderSinks(t *testing.T, seen *bytes.Buffer) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, "data"), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if entry.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		seen.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// noSecret fails if text has a secret, in any of the forms that the protocols give it.
func (s *site) noSecret(t *testing.T, text string) {
	t.Helper()
	_, key, _ := strings.Cut(s.hub.OwnerConnectionString(), "SharedAccessKey=")
	digest := md5.Sum([]byte("root:ipcam:" + password))
	private, err := os.ReadFile(s.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(text string) string { return base64.RawStdEncoding.EncodeToString([]byte(text)) }
	for name, secret := range map[string]string{
		"the admin's token": s.admin[4:], "the viewer's token": s.wall[4:], "a token in Basic": encoded("ops:" + s.admin)[:40],
		"the camera's password": password, "the camera's password in a query": url.QueryEscape(password), "the camera's password in a path": url.PathEscape(password),
		"the camera's password in a URL": url.UserPassword("root", password).String(), "the camera's login in Basic": encoded("root:" + password),
		"the camera's login in Digest": hex.EncodeToString(digest[:]),
		"the hub's key":                key, "the hub's key in a URL": url.QueryEscape(key), "a SAS token": "SharedAccessSignature sr=",
		"the certificate's key": strings.Split(string(private), "\n")[1],
	} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s is shown: ...%s***", name, text[max(0, at-300):at])
		}
	}
	// Tunnel tokens are made while the gateway runs: 256 random bits in base64url.
	for _, at := range regexp.MustCompile(`\b[A-Za-z0-9_-]{43}\b`).FindAllStringIndex(text, -1) {
		if found := text[at[0]:at[1]]; strings.ToLower(found) != found { // not a metric's name
			t.Errorf("a token is shown: ...%s***", text[max(0, at[0]-300):at[0]])
		}
	}
}
