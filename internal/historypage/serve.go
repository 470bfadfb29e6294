// Package historypage serves a page that shows what was said in a conversation, to whoever has a signed link to it. It
// has no script of strangers, sets nothing, and asks for nothing from outside before its reader wants to see pictures.
package historypage

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"

	"github.com/crisphandover/handover/internal/signedlink"
)

// Handler serves the page.
type Handler struct {
	// Load returns the conversation that the token of a link opens. Its errors are signedlink.ErrWrong and
	// signedlink.ErrExpired; after any other one the reader is asked to try again.
	Load func(ctx context.Context, token string) (Conversation, error)
	// Broken hears of a page that could not be rendered.
	Broken func(ctx context.Context, err error)
}

// ServeHTTP implements http.Handler: the page, or one that says why there is none.
func (s Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, status := s.answer(r)
	data.Nonce = rand.Text()
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, data); err != nil {
		s.Broken(r.Context(), err)
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString("The conversation cannot be shown.\n")
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	images := "data:" // its icon, and nothing that would tell a stranger who reads
	if data.Loaded {
		images = "https: http: data:"
	}
	h.Set("Content-Security-Policy", "default-src 'none'; img-src "+images+"; style-src 'nonce-"+data.Nonce+
		"'; script-src 'nonce-"+data.Nonce+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex, nofollow, noarchive")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body.Bytes()) // whoever asked has gone, if this fails
	}
}

// answer decides what to show. A wrong link gets the same answer whether the conversation that it
// names exists or not.
func (s Handler) answer(r *http.Request) (pageData, int) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return pageData{Notice: "This page can only be read."}, http.StatusMethodNotAllowed
	}
	if len(r.URL.RawQuery) > maxQuery {
		return pageData{Notice: "This link is too long.", Hint: "Open it as it was given."}, http.StatusRequestURITooLong
	}
	query := r.URL.Query()
	c, err := s.Load(r.Context(), query.Get("t"))
	switch {
	case errors.Is(err, signedlink.ErrExpired):
		return pageData{Notice: "This link has expired.", Hint: "Links open for a limited time. Each handover brings a new one."}, http.StatusGone
	case errors.Is(err, signedlink.ErrWrong):
		return pageData{Notice: "This link does not lead anywhere.", Hint: "Check that it was copied whole."}, http.StatusNotFound
	case err != nil:
		return pageData{Notice: "The conversation cannot be shown right now.", Hint: "Try again in a minute."}, http.StatusServiceUnavailable
	}
	return newPage(c, query), http.StatusOK
}
