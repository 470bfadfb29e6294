package main

import (
	"crypto/rand"
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/index.html.tmpl"))

// page is the one page: the user's chat, and the agents' inbox beside it if the Crisp is the fake.
type page struct {
	Base  string // the server's own address
	Inbox bool
}

// pageUser is what a site knows of its user and tells the page: the connector's user_data. Here it
// is always the same user, or none with /?guest.
var pageUser = map[string]string{
	"first_name": "Anakin", "last_name": "Skywalker",
	"email": "anakin@example.com", "phone_number": "0605776995",
	"gtu_accepted": "false", "comments": "in this guy, the force is strong",
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	welcome(w, r)
	data := struct {
		*page
		Nonce string
		User  map[string]string
	}{p, rand.Text(), pageUser}
	if r.URL.Query().Has("guest") {
		data.User = nil
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	// Scripts of ours only, and none that makes HTML of text.
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'nonce-"+data.Nonce+"'; style-src 'self'; img-src 'self'; media-src 'self'; "+
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	if err := pageTemplate.Execute(w, data); err != nil {
		slog.Warn("webchat: the page was not sent", "error", err)
	}
}

// static serves the page's script and style.
func (p *page) static() http.Handler {
	root, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the name is a valid one
	}
	next := http.StripPrefix("/static/", http.FileServerFS(root))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
