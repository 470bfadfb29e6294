package fileserve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// body is a file's, without Seek.
type body struct {
	io.Reader
	closed atomic.Int32
}

func (b *body) Close() error {
	b.closed.Add(1)
	return nil
}

// seekable is a body with Seek.
type seekable struct{ *bytes.Reader }

func (seekable) Close() error { return nil }

const text = "0123456789"

// serve asks for a file of text.
func serve(t *testing.T, f File, header ...string) (*http.Response, string, error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	err := Serve(w, r, f)
	answer := w.Result()
	got, readErr := io.ReadAll(answer.Body)
	require.NoError(t, readErr)
	require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
	require.Contains(t, answer.Header.Get("Content-Security-Policy"), "sandbox")
	return answer, string(got), err
}

func opens(b io.ReadCloser, size int64) func(context.Context) (Source, error) {
	return func(context.Context) (Source, error) { return Source{Body: b, Size: size}, nil }
}

func TestRanges(t *testing.T) {
	for header, want := range map[string]struct {
		status       int
		body, ranged string
	}{
		"":                             {200, text, ""},
		"bytes=0-":                     {206, text, "bytes 0-9/10"},
		"bytes=3-5":                    {206, "345", "bytes 3-5/10"},
		"bytes=8-100":                  {206, "89", "bytes 8-9/10"},
		"bytes=-4":                     {206, "6789", "bytes 6-9/10"},
		"bytes=-40":                    {206, text, "bytes 0-9/10"},
		"bytes=9-9":                    {206, "9", "bytes 9-9/10"},
		"bytes=10-":                    {416, "The file has no such part.\n", "bytes */10"},
		"bytes=-0":                     {416, "The file has no such part.\n", "bytes */10"},
		"bytes=5-3":                    {200, text, ""},
		"bytes=1-2,4-5":                {200, text, ""},
		"bytes=a-b":                    {200, text, ""},
		"bytes=-":                      {200, text, ""},
		"bytes":                        {200, text, ""},
		"lines=1-2":                    {200, text, ""},
		"bytes=1-99999999999999999999": {200, text, ""},
	} {
		for name, b := range map[string]io.ReadCloser{
			"read": &body{Reader: strings.NewReader(text)}, "seek": seekable{bytes.NewReader([]byte(text))},
		} {
			answer, got, err := serve(t, File{Max: 10, Open: opens(b, 10)}, "Range", header)
			require.NoError(t, err)
			require.Equal(t, want.status, answer.StatusCode, "%s %s", name, header)
			require.Equal(t, want.body, got, "%s %s", name, header)
			require.Equal(t, want.ranged, answer.Header.Get("Content-Range"), "%s %s", name, header)
			if plain, ok := b.(*body); ok {
				require.EqualValues(t, 1, plain.closed.Load())
			}
		}
	}
}

func TestTypes(t *testing.T) {
	for mimeType, want := range map[string]struct{ served, how string }{
		"image/png":                  {"image/png", "inline"},
		"IMAGE/PNG; a=b":             {"image/png", "inline"},
		"audio/ogg; codecs=opus":     {"audio/ogg", "inline"},
		"video/mp4":                  {"video/mp4", "inline"},
		"text/plain":                 {"text/plain; charset=utf-8", "inline"},
		"text/html":                  {"application/octet-stream", "attachment"},
		"image/svg+xml":              {"application/octet-stream", "attachment"},
		"application/pdf":            {"application/octet-stream", "attachment"},
		"application/xhtml+xml":      {"application/octet-stream", "attachment"},
		"":                           {"application/octet-stream", "attachment"},
		"image/png\r\nSet-Cookie: a": {"application/octet-stream", "attachment"},
	} {
		answer, _, err := serve(t, File{Max: 10, MIMEType: mimeType, Open: opens(&body{Reader: strings.NewReader(text)}, 10)})
		require.NoError(t, err)
		require.Equal(t, want.served, answer.Header.Get("Content-Type"), mimeType)
		require.Equal(t, want.how, answer.Header.Get("Content-Disposition"), mimeType)
	}
	answer, _, err := serve(t, File{Name: "a \"b\"\r\nü.png", MIMEType: "text/html", Max: 10, Open: func(context.Context) (Source, error) {
		return Source{Body: &body{Reader: strings.NewReader(text)}, MIMEType: "image/png"}, nil
	}})
	require.NoError(t, err)
	require.Equal(t, "image/png", answer.Header.Get("Content-Type"), "who has the file knows better")
	require.NotContains(t, answer.Header.Get("Content-Disposition"), "\n")
	require.Contains(t, answer.Header.Get("Content-Disposition"), "%C3%BC.png")
}

func TestBounds(t *testing.T) {
	answer, _, err := serve(t, File{Max: 9, Open: opens(&body{Reader: strings.NewReader(text)}, 10)})
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, http.StatusBadGateway, answer.StatusCode)

	_, got, err := serve(t, File{Max: 9, Open: opens(&body{Reader: strings.NewReader(text)}, 0)})
	require.ErrorIs(t, err, ErrTooLarge, "the size is not known before")
	require.Equal(t, text[:9], got)

	_, got, err = serve(t, File{Max: 10, Open: opens(&body{Reader: strings.NewReader(text)}, 0)}, "Range", "bytes=3-5")
	require.NoError(t, err)
	require.Equal(t, text, got, "a file of unknown size has no ranges")

	_, _, err = serve(t, File{Max: 30, Open: opens(&body{Reader: strings.NewReader(text)}, 20)})
	require.ErrorIs(t, err, ErrShort)
	answer, _, err = serve(t, File{Max: 30, Open: opens(&body{Reader: strings.NewReader(text)}, 20)}, "Range", "bytes=15-")
	require.ErrorIs(t, err, ErrShort)
	require.Equal(t, http.StatusBadGateway, answer.StatusCode)
	require.Empty(t, answer.Header.Get("Content-Range"))
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	gone := errors.New("gone")
	answer, got, err := serve(t, File{Open: func(context.Context) (Source, error) { return Source{}, gone }})
	require.ErrorIs(t, err, gone)
	require.Equal(t, http.StatusBadGateway, answer.StatusCode)
	require.NotContains(t, got, "gone")
	_, _, err = serve(t, File{Open: func(context.Context) (Source, error) { return Source{}, nil }})
	require.Error(t, err)
	_, _, err = serve(t, File{Max: 10, Open: opens(&body{Reader: io.MultiReader(strings.NewReader("01"), fails{gone})}, 10)})
	require.ErrorIs(t, err, gone)
}

type fails struct{ err error }

func (f fails) Read([]byte) (int, error) { return 0, f.err }

// A file whose size is not known, and that breaks off, must not look as if it were whole.
func TestABrokenStreamCutsTheConnection(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := strings.NewReader(strings.Repeat(text, 20_000))
		_ = Serve(w, r, File{Max: 1 << 20, Open: opens(&body{Reader: io.MultiReader(start, fails{errors.New("gone")})}, 0)})
	}))
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	require.Error(t, err)
}

// A body that hangs is closed when whoever reads has gone.
func TestABodyThatHangs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	done := make(chan error)
	go func() {
		done <- Serve(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), File{Max: 10, Open: opens(r, 10)})
	}()
	_, err := w.Write([]byte("0"))
	require.NoError(t, err)
	cancel()
	require.Error(t, <-done)
}

// A body that never says anything is no file.
func TestABodyWithoutProgress(t *testing.T) {
	_, _, err := serve(t, File{Max: 10, Open: opens(&body{Reader: idle{}}, 10)})
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestHead(t *testing.T) {
	w := httptest.NewRecorder()
	require.NoError(t, Serve(w, httptest.NewRequest(http.MethodHead, "/", nil), File{Max: 10, Open: opens(&body{Reader: strings.NewReader(text)}, 10)}))
	require.Equal(t, "10", w.Header().Get("Content-Length"))
	require.Zero(t, w.Body.Len())
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=1-2", int64(10))
	f.Add("bytes=-5", int64(3))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size <= 0 {
			return
		}
		p, some := rangeOf(header, size)
		require.True(t, some || p == part{})
		require.True(t, p.from >= 0 && p.n >= 0 && p.n <= size && p.from <= size-p.n, "%+v", p)
	})
}
