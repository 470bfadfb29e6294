// Package fileserve serves a file that somebody sent to somebody, such as a picture of a user: it is shown or saved,
// and can do nothing else. What is not a picture, sound, film or plain text is saved and not shown, whatever its
// sender says that it is; nothing in it runs.
package fileserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The errors of Serve that are not those of File.Open or Source.Body.
var (
	// ErrTooLarge is returned for a file that has more bytes than File.Max.
	ErrTooLarge = errors.New("the file is larger than the limit")
	// ErrShort is returned for a file that has fewer bytes than its Source.Size.
	ErrShort = errors.New("the file is shorter than it was said to be")
)

// File is what is known of a file before it is opened.
type File struct {
	Name     string // as which it is saved; without folders and control characters
	MIMEType string // for a Source that does not say
	Max      int64  // the most bytes that are served
	// Open opens the file. ctx ends when nobody reads any more.
	Open func(ctx context.Context) (Source, error)
}

// Source is an opened file. Serve closes Body.
type Source struct {
	Body     io.ReadCloser // an io.Seeker as well, if parts of it can be reached without reading what is before
	MIMEType string        // empty: not known
	Size     int64         // bytes; 0: not known, then the file is served from its beginning only
}

const (
	// serveFor is how long a file may take.
	serveFor = 10 * time.Minute
	// stallFor is how long whoever reads may take for one piece.
	stallFor = 30 * time.Second
	// piece is how many bytes are read and written at a time.
	piece = 64 << 10
)

// Serve answers a GET or HEAD request with a file, or the range of it that is asked for. An error is returned
// once the request was answered, for logs: with 502 when the file cannot be opened or is too large; later the
// connection is cut, so that whoever reads knows that something is missing.
func Serve(w http.ResponseWriter, r *http.Request, f File) error {
	ctx, cancel := context.WithTimeout(r.Context(), serveFor)
	defer cancel()
	secure(w.Header())
	src, err := f.Open(ctx)
	if err == nil && src.Body == nil {
		err = errors.New("the file was opened without a body")
	}
	if err != nil {
		http.Error(w, "The file cannot be had right now.", http.StatusBadGateway)
		return err
	}
	stop := context.AfterFunc(ctx, func() { src.Body.Close() }) // ends a Read that hangs
	defer func() {
		if stop() {
			src.Body.Close()
		}
	}()
	if src.Size > f.Max {
		http.Error(w, "The file is too large.", http.StatusBadGateway)
		return fmt.Errorf("%w, %d bytes: it has %d", ErrTooLarge, f.Max, src.Size)
	}
	describe(w.Header(), f, src)
	return send(w, r, f.Max, src)
}

// secure sets the headers under which what strangers made does no harm.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex, nofollow, noarchive")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // agents see it in Crisp's app
	h.Set("Cache-Control", "private, no-store")
}

// describe says what the file is.
func describe(h http.Header, f File, src Source) {
	typ, shown := typeOf(src.MIMEType)
	if src.MIMEType == "" {
		typ, shown = typeOf(f.MIMEType)
	}
	how := "attachment"
	if shown {
		how = "inline"
	}
	if named := mime.FormatMediaType(how, map[string]string{"filename": f.Name}); f.Name != "" && named != "" {
		how = named
	}
	h.Set("Content-Type", typ)
	h.Set("Content-Disposition", how)
}

// typeOf returns the Content-Type that a file is served with, and whether browsers may show it.
func typeOf(mimeType string) (contentType string, shown bool) {
	name, _, err := mime.ParseMediaType(mimeType)
	kind, _, _ := strings.Cut(name, "/")
	switch {
	case err != nil, name == "image/svg+xml": // an SVG may hold script
	case name == "text/plain":
		return "text/plain; charset=utf-8", true
	case kind == "image", kind == "audio", kind == "video":
		return name, true
	}
	return "application/octet-stream", false
}

// send writes the file.
func send(w http.ResponseWriter, r *http.Request, most int64, src Source) error {
	from, n, status := int64(0), src.Size, http.StatusOK
	if src.Size > 0 {
		w.Header().Set("Accept-Ranges", "bytes")
		if of, some := rangeOf(r.Header.Get("Range"), src.Size); some {
			from, n, status = of.from, of.n, http.StatusPartialContent
			if n == 0 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", src.Size))
				http.Error(w, "The file has no such part.", http.StatusRequestedRangeNotSatisfiable)
				return nil
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+n-1, src.Size))
		}
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return nil
	}
	if err := skip(src.Body, from); err != nil {
		for name := range w.Header() {
			if strings.HasPrefix(name, "Content-") && name != "Content-Security-Policy" {
				w.Header().Del(name)
			}
		}
		http.Error(w, "The file cannot be had right now.", http.StatusBadGateway)
		return err
	}
	w.WriteHeader(status)
	if src.Size == 0 {
		n = most
	}
	written, err := copyTo(w, io.LimitReader(src.Body, n))
	switch {
	case err != nil:
	case src.Size > 0 && written < n:
		err = fmt.Errorf("%w: it has %d bytes of %d", ErrShort, from+written, src.Size)
	case src.Size == 0 && written == n && more(src.Body):
		err = fmt.Errorf("%w, %d bytes", ErrTooLarge, most)
	}
	if err != nil { // without a length the end of what was written would look like the end of the file
		_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	}
	return err
}

// skip goes to a place in a file.
func skip(body io.Reader, to int64) error {
	if to == 0 {
		return nil
	}
	if s, ok := body.(io.Seeker); ok {
		_, err := s.Seek(to, io.SeekStart)
		return err
	}
	if n, err := io.CopyN(io.Discard, body, to); err != nil {
		return fmt.Errorf("%w: it has %d bytes: %w", ErrShort, n, err)
	}
	return nil
}

// more reports whether there is more to read.
func more(body io.Reader) bool {
	n, _ := io.ReadFull(body, make([]byte, 1))
	return n > 0
}

// copyTo writes all of a reader, and gives whoever reads it stallFor for each piece.
func copyTo(w http.ResponseWriter, body io.Reader) (written int64, err error) {
	out, buffer, empty := http.NewResponseController(w), make([]byte, piece), 0
	for {
		n, err := body.Read(buffer)
		if empty++; empty > 100 && n == 0 && err == nil {
			err = io.ErrNoProgress
		}
		if n > 0 {
			empty = 0
			_ = out.SetWriteDeadline(time.Now().Add(stallFor)) // not every ResponseWriter can
			if _, err := w.Write(buffer[:n]); err != nil {
				return written, fmt.Errorf("write the file: %w", err)
			}
			written += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			return written, nil
		case err != nil:
			return written, fmt.Errorf("read the file: %w", err)
		}
	}
}

// part is a range of a file: n bytes at from. n is 0 for a range that the file does not have.
type part struct{ from, n int64 }

// rangeOf reads a Range header. some is false for none, for one that is to be ignored, and for several ranges at
// once: then the whole file is served, as RFC 9110 allows.
func rangeOf(header string, size int64) (p part, some bool) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return part{}, false
	}
	a, errA := strconv.ParseUint(first, 10, 62)
	b, errB := strconv.ParseUint(last, 10, 62)
	from, to := int64(a), int64(b)
	switch {
	case first == "" && errB == nil: // the last bytes
		to = min(to, size)
		return part{size - to, to}, true
	case errA != nil || last != "" && (errB != nil || to < from):
		return part{}, false
	case from >= size:
		return part{}, true
	case last == "":
		return part{from, size - from}, true
	}
	return part{from, min(to, size-1) - from + 1}, true
}
