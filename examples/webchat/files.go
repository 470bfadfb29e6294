package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

const (
	maxFile  = 5 << 20 // bytes
	maxFiles = 100     // that are kept
)

// files keeps uploads in memory, the newest of them. Agents open them by their URL, so that has to
// be one that Crisp's users can reach.
type files struct {
	base string // the server's own address

	mu    sync.Mutex
	all   map[string]upload
	order []string
}

type upload struct {
	handover.File
	content []byte
}

// shown are the types that browsers show in the page. They are found out from the content: a page
// or an SVG that calls itself a picture is none.
var shown = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true,
	"audio/mpeg": true, "audio/wave": true, "video/mp4": true, "video/webm": true, "application/ogg": true,
}

// upload takes a file: its name in ?name=, its bytes in the body. It answers with a File and its id.
func (f *files) upload(w http.ResponseWriter, r *http.Request) {
	if visitor(r) == "" {
		http.Error(w, "load the page first", http.StatusForbidden)
		return
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFile))
	if err != nil || len(content) == 0 {
		http.Error(w, "files of 1 byte to 5 MB, please", http.StatusRequestEntityTooLarge)
		return
	}
	id, name := rand.Text(), r.URL.Query().Get("name")
	if name = strings.Trim(name, `./\ `); name == "" || strings.ContainsAny(name, `/\`) {
		name = "file"
	}
	kind, _, _ := mime.ParseMediaType(http.DetectContentType(content))
	f.keep(id, upload{content: content, File: handover.File{
		URL: f.base + "/files/" + id + "/" + url.PathEscape(name), Name: name, MIMEType: kind, Size: int64(len(content)),
	}})
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, id)
}

func (f *files) keep(id string, u upload) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]upload{}
	}
	f.all[id] = u
	if f.order = append(f.order, id); len(f.order) > maxFiles {
		delete(f.all, f.order[0])
		f.order = f.order[1:]
	}
}

func (f *files) find(id string) (handover.File, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u, ok := f.all[id]
	return u.File, ok
}

// download serves an upload. What is no picture, sound or film is saved, never opened.
func (f *files) download(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	u, ok := f.all[r.PathValue("id")]
	f.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": u.Name}))
	if shown[u.MIMEType] {
		h.Set("Content-Type", u.MIMEType)
		h.Set("Content-Disposition", "inline")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, max-age=3600")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(u.content))
}

// attachment is a file as a message shows it.
func attachment(f handover.File) *handover.Attachment {
	kind, _, _ := strings.Cut(f.MIMEType, "/")
	if !shown[f.MIMEType] || kind == "application" {
		kind = "file"
	}
	return &handover.Attachment{Type: kind, Payload: handover.AttachmentPayload{URL: f.URL}}
}

// pictureClient follows no redirect: it could lead elsewhere.
var pictureClient = &http.Client{
	Timeout:       10 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// picture serves a picture of Crisp's from our own address, so that the page asks nobody else and
// the user's address stays here. Only Crisp's hosts can be asked.
func picture(w http.ResponseWriter, r *http.Request) {
	u, err := url.Parse(r.URL.Query().Get("url"))
	if err != nil || !isCrisp(u) {
		http.NotFound(w, r)
		return
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	response, err := pictureClient.Do(request)
	if err != nil {
		http.Error(w, "crisp does not answer", http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if response.StatusCode != http.StatusOK || !shown[kind] || !strings.HasPrefix(kind, "image/") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.Header().Set("Cache-Control", "private, max-age=3600")
	_, _ = io.Copy(w, io.LimitReader(response.Body, 2*maxFile))
}

// isCrisp reports whether a URL leads to Crisp's file and picture servers, and nowhere else.
func isCrisp(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && strings.HasSuffix(u.Host, ".crisp.chat")
}
