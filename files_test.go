package handover_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// platform is a channel whose files need the bot's token.
type platform struct {
	files map[string]string
	mu    sync.Mutex
	asked []string
	open  func(ctx context.Context, id string) (handover.OpenedFile, error) // in place of files
}

// config has agents open its files.
func (p *platform) config(_ *rig.Rig, c *handover.Config) {
	c.Files = handover.FileLinks{URL: "https://bot.example.com/files?tenant=1", SigningKey: handover.NewSecret(strings.Repeat("f", 32)), TTL: time.Hour, MaxSize: 1000}
	c.OpenFile = func(ctx context.Context, conv handover.Conversation, id string) (handover.OpenedFile, error) {
		p.mu.Lock()
		p.asked = append(p.asked, conv.ID+" "+id)
		p.mu.Unlock()
		if p.open != nil {
			return p.open(ctx, id)
		}
		body, ok := p.files[id]
		if !ok {
			return handover.OpenedFile{}, errors.New("the platform has no such file")
		}
		return handover.OpenedFile{Body: io.NopCloser(strings.NewReader(body)), Size: int64(len(body))}, nil
	}
}

// fileURL is the URL that Crisp got for the newest file.
func fileURL(t *testing.T, conv *handovertest.Conversation) string {
	t.Helper()
	all := conv.Messages()
	content, ok := all[len(all)-1].Content.(map[string]any)
	require.True(t, ok)
	return content["url"].(string)
}

// follow opens a link as an agent does.
func follow(r *rig.Rig, link string, header ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(http.MethodGet, link, nil)
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.H.FileHandler().ServeHTTP(w, q)
	return w
}

// An agent opens a picture for which the channel needs the bot's token.
func TestFilesThatOnlyTheBotCanOpen(t *testing.T) {
	p := &platform{files: map[string]string{"photo 1": "0123456789"}}
	rig.Active(t, rig.Options{Config: p.config}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		photo := handover.Incoming{ID: "p", Text: "look", Files: []handover.File{{ID: "photo 1", Name: "../cat\u202e.jpg"}}}
		_, err := r.Receive(photo)
		require.NoError(t, err)
		_, err = r.Receive(photo)
		require.NoError(t, err, "a repeat has a link of another time")
		link := fileURL(t, conv)
		require.Equal(t, map[string]any{"name": "cat.jpg", "type": "image/jpeg", "url": link}, conv.Messages()[len(conv.Messages())-1].Content)
		require.NotContains(t, link, "photo")

		got := follow(r, link)
		require.Equal(t, http.StatusOK, got.Code)
		require.Equal(t, "0123456789", got.Body.String())
		require.Equal(t, "image/jpeg", got.Header().Get("Content-Type"))
		require.Equal(t, `inline; filename=cat.jpg`, got.Header().Get("Content-Disposition"))
		require.Equal(t, "3456", follow(r, link, "Range", "bytes=3-6").Body.String())
		require.Equal(t, []string{r.Conv.ID + " photo 1", r.Conv.ID + " photo 1"}, p.asked)

		for _, wrong := range []string{strings.Replace(link, "&tenant", "x&tenant", 1), strings.Replace(link, "t=", "t=A", 1), strings.Replace(link, "t=", "u=", 1), "https://bot.example.com/files"} {
			require.Equal(t, http.StatusNotFound, follow(r, wrong).Code)
		}
		require.Len(t, p.asked, 2)
		r.After(time.Hour + time.Second)
		require.Equal(t, http.StatusGone, follow(r, link).Code)
	})
}

// A link opens what it was made for: that of a file no history, and the other way round, also with one key.
func TestLinksOfOneKindOpenNothingElse(t *testing.T) {
	p := &platform{files: map[string]string{"1": "x"}}
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		p.config(r, c)
		c.History = handover.History{URL: "https://bot.example.com/history", SigningKey: c.Files.SigningKey}
		c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) { return nil, nil }
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		_, err := r.Receive(handover.Incoming{ID: "p", Files: []handover.File{{ID: "1"}}})
		require.NoError(t, err)
		history, err := r.H.HistoryLink(r.Conv)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, follow(r, history).Code)
		w := httptest.NewRecorder()
		r.H.HistoryHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, fileURL(t, conv), nil))
		require.Equal(t, http.StatusNotFound, w.Code)
	})
}

func TestFilesThatCannotBeServed(t *testing.T) {
	p := &platform{files: map[string]string{}}
	rig.Active(t, rig.Options{Config: p.config}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		_, err := r.Receive(handover.Incoming{ID: "p", Files: []handover.File{{ID: "1"}}})
		require.NoError(t, err)
		link := fileURL(t, conv)
		faults := 0
		fails := func(why string, open func(context.Context, string) (handover.OpenedFile, error)) {
			p.open = open
			w := follow(r, link)
			require.Equal(t, http.StatusBadGateway, w.Code, why)
			require.NotContains(t, w.Body.String(), "hush", why)
			faults++
			require.Equal(t, faults, r.Count(handover.ActivityFault), why)
		}
		fails("an error", func(context.Context, string) (handover.OpenedFile, error) {
			return handover.OpenedFile{}, errors.New("hush: the token is abc")
		})
		fails("a panic", func(context.Context, string) (handover.OpenedFile, error) { panic("hush") })
		fails("no body", func(context.Context, string) (handover.OpenedFile, error) { return handover.OpenedFile{}, nil })
		fails("too large", func(context.Context, string) (handover.OpenedFile, error) {
			return handover.OpenedFile{Body: io.NopCloser(bytes.NewReader(nil)), Size: 1001}, nil
		})
		late, closed := make(chan struct{}), make(chan struct{})
		begun := time.Now()
		fails("it hangs", func(ctx context.Context, _ string) (handover.OpenedFile, error) {
			<-late
			return handover.OpenedFile{Body: closes{closed}}, nil
		})
		require.LessOrEqual(t, time.Since(begun), 11*time.Second)
		close(late)
		<-closed // what is opened later is closed

		w := httptest.NewRecorder()
		r.H.FileHandler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, link, nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	})
}

// closes is an empty body that tells when it is closed.
type closes struct{ closed chan struct{} }

func (closes) Read([]byte) (int, error) { return 0, io.EOF }

func (c closes) Close() error {
	close(c.closed)
	return nil
}

// More files at once than there are places for are refused, and a place is free again when a file is read.
func TestFilesAtOnceAreBounded(t *testing.T) {
	p := &platform{files: map[string]string{}}
	rig.Active(t, rig.Options{Config: p.config}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		_, err := r.Receive(handover.Incoming{ID: "p", Files: []handover.File{{ID: "1"}}})
		require.NoError(t, err)
		handler, link, free := r.H.FileHandler(), fileURL(t, conv), make(chan struct{})
		p.open = func(context.Context, string) (handover.OpenedFile, error) {
			<-free
			return handover.OpenedFile{Body: io.NopCloser(strings.NewReader("x"))}, nil
		}
		codes := make(chan int, 100)
		for range 100 {
			go func() {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, link, nil))
				codes <- w.Code
			}()
		}
		synctest.Wait()
		require.Len(t, codes, 36)
		close(free)
		count := make(map[int]int)
		for range 100 {
			count[<-codes]++
		}
		require.Equal(t, map[int]int{http.StatusOK: 64, http.StatusServiceUnavailable: 36}, count)
		p.open = nil
		p.files["1"] = "x"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, link, nil))
		require.Equal(t, http.StatusOK, w.Code)
	})
}

// A file that gives a secret away, or that no agent can open, is refused before anything is stored.
func TestFilesThatMustNotBePassedOn(t *testing.T) {
	for _, link := range []string{
		"https://example.com/a.jpg?access_token=x", "https://example.com/a.jpg?token=x", "https://ann:x@example.com/a.jpg",
		"https://bucket.s3.amazonaws.com/a.jpg?X-Amz-Signature=x", "https://api.telegram.org/file/bot1:x/a.jpg",
		"http://192.168.1.5/a.jpg", "http://localhost/a.jpg", "http://169.254.169.254/latest", "http://[::1]/a.jpg", "http://nas/a.jpg",
		"ftp://example.com/a.jpg", "/a.jpg", "",
	} {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			_, err := r.Receive(handover.Incoming{ID: "1", Text: "look", Files: []handover.File{{URL: link}}})
			require.ErrorIs(t, err, handover.ErrBadMessage, link)
			require.True(t, handover.Permanent(err))
			if u, parseErr := url.Parse(link); parseErr == nil && u.RawQuery != "" {
				require.NotContains(t, err.Error(), u.RawQuery)
			}
		})
	}
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		_, err := r.Receive(handover.Incoming{ID: "1", Files: []handover.File{{ID: "1"}}})
		require.ErrorContains(t, err, "Config.OpenFile")
	})
	local := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.LocalFiles = true }}
	rig.Bubble(t, local, func(r *rig.Rig) {
		_, err := r.Receive(handover.Incoming{ID: "1", Files: []handover.File{{URL: "http://127.0.0.1:8080/a.jpg"}}})
		require.NoError(t, err)
	})
}

// The settings of file links go together, and no printing shows the key.
func TestFileLinks(t *testing.T) {
	key := handover.NewSecret(strings.Repeat("f", 32))
	open := func(context.Context, handover.Conversation, string) (handover.OpenedFile, error) {
		return handover.OpenedFile{}, nil
	}
	for want, set := range map[string]func(*handover.Config){
		"OpenFile must be set":         func(c *handover.Config) { c.Files = handover.FileLinks{URL: "https://a.example", SigningKey: key} },
		"Files.URL must be set":        func(c *handover.Config) { c.OpenFile = open },
		"Files.SigningKey must be set": func(c *handover.Config) { c.OpenFile, c.Files.URL = open, "https://a.example" },
		"Files.MaxSize is -1": func(c *handover.Config) {
			c.OpenFile, c.Files = open, handover.FileLinks{URL: "https://a.example", SigningKey: key, MaxSize: -1}
		},
		"Files.URL must be an absolute": func(c *handover.Config) {
			c.OpenFile, c.Files = open, handover.FileLinks{URL: "/files", SigningKey: key}
		},
	} {
		crisp := handovertest.NewCrisp(t, handovertest.Options{})
		c := crisp.Config()
		c.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
		set(&c)
		_, err := handover.New(c)
		require.ErrorContains(t, err, want)
	}
	links := handover.FileLinks{URL: "https://a.example", SigningKey: key}
	for _, printed := range []string{fmt.Sprint(links), fmt.Sprintf("%+v %#v %q %d", links, links, links, links)} {
		require.NotContains(t, printed, "ffff")
	}
}
