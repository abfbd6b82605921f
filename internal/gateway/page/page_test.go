package page_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"rtsptunnel/internal/gateway/page"
)

func newPage(t *testing.T, prefix string) *page.Page {
	t.Helper()
	p, err := page.New(page.Options{Prefix: prefix, Origins: func() []string { return []string{"https://portal.example"} }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(t *testing.T, p *page.Page, at string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	p.ServeHTTP(w, r)
	return w
}

// Each address has a shell with the headers that keep other sites out. Only /embed may be framed.
func TestShells(t *testing.T) {
	p := newPage(t, "/video")
	for at, ancestors := range map[string]string{
		"/": "'none'", "/cameras/edge1/front": "'none'", "/shares": "'none'", "/watch": "'none'",
		"/embed/edge1/front": "'self' https://portal.example",
	} {
		if !page.Owns(at) {
			t.Errorf("%s is not a route of the page", at)
		}
		w := get(t, p, at)
		policy := w.Header().Get("Content-Security-Policy")
		if w.Code != 200 || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || !strings.HasSuffix(policy, "frame-ancestors "+ancestors) {
			t.Errorf("%s: %d, %s", at, w.Code, policy)
		}
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-cache"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", at, name, got)
			}
		}
		body := w.Body.String()
		if !strings.Contains(body, `<base href="/video/">`) || regexp.MustCompile(`<script[^>]*>[^<]|<style|\son\w+=`).MatchString(body) {
			t.Errorf("%s: %s", at, body)
		}
		for _, link := range regexp.MustCompile(`(?:src|href)="(assets/[^"]+)"`).FindAllStringSubmatch(body, -1) {
			asset := get(t, p, "/"+link[1])
			if asset.Code != 200 || asset.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Errorf("%s: %d, %s", link[1], asset.Code, asset.Header().Get("Cache-Control"))
			}
		}
	}
}

func TestRefused(t *testing.T) {
	p := newPage(t, "")
	for _, at := range []string{"/assets/x/none.js", "/assets/", "/assets/x/../page.go", "/api/cameras", "/other"} {
		if w := get(t, p, at); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", at, w.Code)
		}
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestAssets(t *testing.T) {
	p := newPage(t, "")
	plain := get(t, p, "/assets/old/app.js")
	if plain.Header().Get("Cache-Control") != "no-cache" || plain.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("headers %v", plain.Header())
	}
	zipped := get(t, p, "/assets/old/app.js", "Accept-Encoding", "br, gzip")
	r, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, plain.Body.Bytes()) {
		t.Errorf("gzip has other content: %v", err)
	}
	if again := get(t, p, "/assets/old/app.js", "If-None-Match", plain.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("status %d", again.Code)
	}
}

var imports = regexp.MustCompile(`(?:from|import\()\s*"(\.[^"]+)"`)

// What the assets import exists, they set no markup from texts, and they stay small.
func TestSources(t *testing.T) {
	var all bytes.Buffer
	err := fs.WalkDir(os.DirFS("assets"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "vendor/") {
			return err
		}
		b, err := os.ReadFile("assets/" + name)
		if err != nil {
			return err
		}
		all.Write(b)
		for _, m := range imports.FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat("assets/" + path.Join(path.Dir(name), m[1])); err != nil {
				t.Errorf("%s imports %s, which does not exist", name, m[1])
			}
		}
		for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "https://"} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s has %s", name, word)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(all.Bytes())
	_ = w.Close()
	if zipped.Len() > 40<<10 {
		t.Errorf("the page has %d bytes compressed, more than 40 KiB", zipped.Len())
	}
}
