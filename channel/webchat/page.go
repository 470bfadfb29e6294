package webchat

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// asset is a file of the page.
type asset struct {
	content []byte
	kind    string
	tag     string // changes with the content
}

// assets are the files that are served, by name: there is no list of them, and nothing else.
var assets = func() map[string]asset {
	entries, err := pageFiles.ReadDir("page")
	if err != nil {
		panic(err) // it is embedded
	}
	kinds := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".svg": "image/svg+xml"}
	all := map[string]asset{}
	for _, e := range entries {
		content, err := pageFiles.ReadFile("page/" + e.Name())
		if err != nil {
			panic(err) // it is embedded
		}
		all[e.Name()] = newAsset(content, kinds[path.Ext(e.Name())])
	}
	// The widget's script speaks for the one button that stands on the host's page.
	button := map[string]map[string]string{}
	for locale, w := range words {
		button[locale] = map[string]string{"open": w["open"], "close": w["close"], "title": w["title"]}
	}
	table, err := json.Marshal(button)
	if err != nil {
		panic(err) // of strings
	}
	widget := strings.Replace(string(all["widget.js"].content), "/* words */ {}", string(table), 1)
	all["widget.js"] = newAsset([]byte(widget), all["widget.js"].kind)
	return all
}()

func newAsset(content []byte, kind string) asset {
	sum := sha256.Sum256(content)
	return asset{content, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// asset serves a file of the page.
func (s *server) asset(w http.ResponseWriter, r *http.Request) {
	if name := r.PathValue("name"); name != "index.html" && name != "widget.js" {
		s.serve(w, r, name)
		return
	}
	http.NotFound(w, r)
}

// widget serves the script that a host's page has.
func (s *server) widget(w http.ResponseWriter, r *http.Request) { s.serve(w, r, "widget.js") }

// page serves the page with the chat. Its policy lets in our own scripts, styles and pictures, none of another's, and
// no script that makes HTML of text.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	frames := strings.Join(append([]string{"frame-ancestors 'self'"}, s.chat.cfg.FrameAncestors...), " ")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "+
		"connect-src 'self'; base-uri 'none'; form-action 'none'; "+frames+"; require-trusted-types-for 'script'; trusted-types 'none'")
	w.Header().Set("X-Robots-Tag", "noindex")
	s.serve(w, r, "index.html")
}

// serve sends a file, unless the browser has it as it is.
func (s *server) serve(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.tag)
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(a.content) // the browser has gone, if this fails
}
