package main

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// TestProgram runs the program of README.md against a fake Crisp.
func TestProgram(t *testing.T) {
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	require.NoError(t, crisp.Listen())
	id, key := crisp.Token()
	for name, value := range map[string]string{
		"CRISP_WEBSITE_ID": crisp.WebsiteID(), "CRISP_IDENTIFIER": id, "CRISP_KEY": key,
		"CRISP_WEBHOOK_SECRET": crisp.Secret(), "CRISP_URL": crisp.URL(), "ADDR": "127.0.0.1:0",
	} {
		t.Setenv(name, value)
	}
	lines := printed(t)
	var warned warnings
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(&warned))
	http.DefaultServeMux = http.NewServeMux() // the program's, in this run
	go main()
	crisp.Attach(http.DefaultServeMux)

	says := func(id, text string) {
		form := strings.NewReader(url.Values{"user": {"joe"}, "id": {id}, "text": {text}}.Encode())
		r := httptest.NewRequest("POST", "/messages", form)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		http.DefaultServeMux.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
	}
	for served := ""; served == "" && t.Context().Err() == nil; runtime.Gosched() {
		_, served = http.DefaultServeMux.Handler(httptest.NewRequest("POST", "/messages", nil))
	}
	says("1", "hello")
	require.Equal(t, "bot: I am only a bot.", <-lines)
	require.Zero(t, warned.n.Load(), "a newcomer sees no warning first")
	says("2", "human")
	require.Equal(t, "system: A person will be with you soon. You can already describe your question.", <-lines)
	require.Equal(t, "Back to the bot", strings.TrimLeft(<-lines, "1234567890.-* "))
	says("3", "My parcel is lost")
	require.NoError(t, crisp.Await(t.Context(), func() bool { return len(crisp.Last().Transcript()) > 2 }))
	require.Equal(t, []string{"operator (note): The user writes: human", "user: My parcel is lost"}, crisp.Last().Transcript()[1:])
	crisp.Last().Operator("Ann").Say("I look for it")
	require.Equal(t, "system: Ann joined the conversation.", <-lines)
	require.Equal(t, "agent: I look for it", <-lines)
}

// warnings counts what the log warns of.
type warnings struct{ n atomic.Int32 }

func (w *warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler               { return w }
func (w *warnings) WithGroup(string) slog.Handler                    { return w }
func (w *warnings) Handle(context.Context, slog.Record) error {
	w.n.Add(1)
	return nil
}

// printed are the lines with words that the program prints from now on.
func printed(t *testing.T) <-chan string {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	out := os.Stdout
	os.Stdout = w
	t.Cleanup(func() { os.Stdout = out })
	lines := make(chan string)
	go func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			if s.Text() != "" {
				lines <- s.Text()
			}
		}
	}()
	return lines
}
