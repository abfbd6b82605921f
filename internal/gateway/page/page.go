// Package page serves the web page: a shell of HTML for each address, and the assets, which are
// part of the program. The page gets everything else from the API, so the shells hold no data and
// need no login.
//
// Code belongs here if it serves or is the page. The package does not know the API's insides.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed assets
var files embed.FS

// asset is one file of the page.
type asset struct {
	kind         string // content type
	tag          string
	raw, gzipped []byte
}

// Options are what New needs.
type Options struct {
	Prefix string // the path of the public URL, without a slash at its end
	// Origins returns the origins whose pages may show /embed in a frame.
	Origins func() []string
}

// Page is the handler. It is safe for concurrent use.
type Page struct {
	o      Options
	assets map[string]asset // by their path below assets
	hash   string           // of all assets, in their URLs
	app    []byte
	embed  []byte
}

// New returns the handler of the page's routes. It compresses the assets once.
func New(o Options) (*Page, error) {
	p := &Page{o: o, assets: map[string]asset{}}
	sum := sha256.New()
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "assets/")
		_, _ = io.WriteString(sum, name+"\x00")
		_, _ = sum.Write(raw)
		p.assets[name] = newAsset(name, raw)
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.hash = base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:9])
	if p.app, err = p.shell("app.js", "style.css"); err != nil {
		return nil, err
	}
	p.embed, err = p.shell("embed.js", "embed.css")
	return p, err
}

func newAsset(name string, raw []byte) asset {
	kind := map[string]string{".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}[path.Ext(name)]
	if kind == "" {
		kind = "text/plain"
	}
	sum := sha256.Sum256(raw)
	a := asset{kind: mime.FormatMediaType(kind, map[string]string{"charset": "utf-8"}), tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, raw: raw}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(raw) // a bytes.Buffer has no errors
	_ = w.Close()
	a.gzipped = b.Bytes()
	return a
}

var document = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<base href="{{.Prefix}}/">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>Cameras</title>
<link rel="icon" href="assets/{{.Hash}}/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="assets/{{.Hash}}/{{.Style}}">
<script type="module" src="assets/{{.Hash}}/{{.Script}}"></script>
</head>
<body><noscript>This page needs JavaScript to play video.</noscript></body>
</html>
`))

func (p *Page) shell(script, style string) ([]byte, error) {
	var b bytes.Buffer
	err := document.Execute(&b, struct{ Prefix, Hash, Script, Style string }{p.o.Prefix, p.hash, script, style})
	return b.Bytes(), err
}

// Owns reports whether a path without the prefix is a route of the page.
func Owns(urlPath string) bool {
	switch urlPath {
	case "/", "/shares", "/watch":
		return true
	}
	for _, prefix := range []string{"/cameras/", "/embed/", "/assets/"} {
		if strings.HasPrefix(urlPath, prefix) {
			return true
		}
	}
	return false
}

// ServeHTTP serves a shell or an asset. The request's path has no prefix.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	secure(w.Header())
	switch at := r.URL.Path; {
	case strings.HasPrefix(at, "/assets/"):
		p.serveAsset(w, r, strings.TrimPrefix(at, "/assets/"))
	case strings.HasPrefix(at, "/embed/"):
		p.serveShell(w, p.embed, strings.Join(append([]string{"'self'"}, p.origins()...), " "))
	case Owns(at):
		p.serveShell(w, p.app, "'none'")
	default:
		http.NotFound(w, r)
	}
}

func (p *Page) origins() []string {
	if p.o.Origins == nil {
		return nil
	}
	return p.o.Origins()
}

// secure sets the headers of all answers. Tokens may be in addresses, so no other site may learn
// them.
func secure(h http.Header) {
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
}

// policy is the Content-Security-Policy of the shells, but for frame-ancestors. hls.js runs its
// worker from a blob.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; " +
	"connect-src 'self'; worker-src 'self' blob:; base-uri 'self'; form-action 'self'; frame-ancestors "

func (p *Page) serveShell(w http.ResponseWriter, shell []byte, ancestors string) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy+ancestors)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(shell) // a client that left needs no answer
}

// serveAsset serves {hash}/{file}. With another hash, as of a page that was open before an update,
// the file is the newest one, and must not be kept.
func (p *Page) serveAsset(w http.ResponseWriter, r *http.Request, rest string) {
	hash, name, _ := strings.Cut(rest, "/")
	a, found := p.assets[name]
	if !found {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", a.tag)
	h.Add("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if hash == p.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.raw
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.gzipped
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
