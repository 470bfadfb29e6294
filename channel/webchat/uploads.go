package webchat

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/httpbody"
)

// shown are the types that browsers show in the page. They are found out from the content: a page or an SVG that
// calls itself a picture is none.
var shown = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true,
	"audio/mpeg": true, "audio/wave": true, "video/mp4": true, "video/webm": true, "application/ogg": true,
}

// fileBounds bound what is uploaded: a file of that size in two minutes, and 256 MiB of all at once.
func fileBounds(size int) httpbody.Bounds {
	return httpbody.Bounds{Size: int64(size), Time: 2 * time.Minute, AtOnce: 1024, Small: 64 << 10, Large: max(256<<20, int64(size))}
}

// upload takes a file: its name in ?name=, its bytes in the body. It answers with its id; 413 it is too large, 429
// wait, 503 try again, 507 there is no room.
func (s *server) upload(w http.ResponseWriter, r *http.Request, who session) {
	if !s.limits.allow("files "+who.id, s.chat.cfg.Limits.Files) {
		tooMany(w)
		return
	}
	content, err := s.files.Take(w, r)
	if errors.Is(err, httpbody.ErrTooSlow) || errors.Is(err, httpbody.ErrCrowded) {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	if err != nil || len(content) == 0 {
		http.Error(w, "the file is empty or too large", http.StatusRequestEntityTooLarge)
		return
	}
	kind, _, _ := mime.ParseMediaType(http.DetectContentType(content))
	id, err := s.chat.cfg.Files.Save(r.Context(), Upload{Conversation: who.id, Name: fileName(r.URL.Query().Get("name")), MIMEType: kind, Content: content})
	switch {
	case errors.Is(err, ErrFull):
		http.Error(w, "there is no room for more files", http.StatusInsufficientStorage)
	case err != nil:
		s.again(w, err)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, id)
	}
}

const maxFileName = 100 // characters

// fileName cleans the name that a user's file has: no folder, no control or direction character.
func fileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.C, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, name)
	name = strings.TrimLeft(strings.TrimSpace(name), ".")
	if letters := []rune(name); len(letters) > maxFileName {
		name = string(letters[len(letters)-maxFileName:])
	}
	if name == "" {
		return "file"
	}
	return name
}

// fileOf is an upload as agents get it, by its link.
func (c *Chat) fileOf(id string, u Upload) handover.File {
	return handover.File{URL: c.base.String() + "files/" + url.PathEscape(id) + "/" + url.PathEscape(u.Name), Name: u.Name, MIMEType: u.MIMEType, Size: int64(len(u.Content))}
}

// download serves an upload. What is no picture, sound or film is saved, never opened.
func (s *server) download(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if storable(id) != id {
		http.NotFound(w, r)
		return
	}
	u, err := s.chat.cfg.Files.Open(r.Context(), id)
	if errors.Is(err, ErrNoFile) {
		http.NotFound(w, r)
		return
	} else if err != nil {
		s.again(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": u.Name}))
	if shown[u.MIMEType] {
		h.Set("Content-Type", u.MIMEType)
		h.Set("Content-Disposition", "inline")
	}
	alone(h)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(u.Content))
}

// alone keeps a file from doing anything, if it is opened by itself.
func alone(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, max-age=3600")
	h.Set("X-Robots-Tag", "noindex")
}

// attachment is a file as a message shows it.
func attachment(f handover.File) *handover.Attachment {
	kind, _, _ := strings.Cut(f.MIMEType, "/")
	if !shown[f.MIMEType] || kind == "application" {
		kind = "file"
	}
	return &handover.Attachment{Type: kind, Payload: handover.AttachmentPayload{URL: f.URL}}
}

const (
	pictureTime = 10 * time.Second
	maxPicture  = 10 << 20 // bytes
)

// picture serves a picture of Crisp's from our own address, so that the page asks nobody else and the user's address
// stays here. Only Crisp's hosts can be asked.
func (s *server) picture(w http.ResponseWriter, r *http.Request, who session) {
	u, err := url.Parse(r.URL.Query().Get("url"))
	if err != nil || !isCrisp(u) {
		http.NotFound(w, r)
		return
	}
	if !s.limits.allow("pictures "+who.id, pictureCalls) {
		tooMany(w)
		return
	}
	response, err := s.fetch(r, u)
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
	alone(w.Header())
	_, _ = io.Copy(w, io.LimitReader(response.Body, maxPicture))
}

// fetch asks Crisp for a picture.
func (s *server) fetch(r *http.Request, u *url.URL) (*http.Response, error) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	client := *s.chat.cfg.HTTPClient
	client.Timeout = pictureTime
	return client.Do(request)
}

// isCrisp reports whether a URL leads to Crisp's file and picture servers, and nowhere else.
func isCrisp(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && strings.HasSuffix(u.Host, ".crisp.chat")
}
