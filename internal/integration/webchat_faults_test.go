//go:build unix

package integration

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWebchatFaults shows that the tests see what may go wrong on a page.
func TestWebchatFaults(t *testing.T) {
	browser := startBrowser(t)
	for name, c := range map[string]struct{ script, want string }{
		"error in the console":   {`console.error("a fault")`, "a fault"},
		"warning in the console": {`console.warn("a fault")`, "a fault"},
		"exception":              {`throw new Error("a fault")`, "exception: "},
		"rejected promise":       {`Promise.reject(new Error("a fault"))`, "exception: "},
		"against the policy":     {`new Image().src = "https://elsewhere.invalid/a.png"`, "policy: img-src"},
		"no such file":           {`fetch("/nowhere")`, "HTTP 404"},
		"nobody answers":         {`fetch("http://127.0.0.1:1/")`, "request failed: net::ERR_"},
		"dialog":                 {`onload = () => setTimeout(() => alert("a fault"))`, "a dialog: a fault"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" {
					http.NotFound(w, r)
					return
				}
				w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'unsafe-inline'; connect-src *; img-src data:")
				_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,"><script>`+c.script+`</script>`)
			}))
			defer server.Close()
			p := newTab(t, browser, name, server.URL)
			require.Eventually(t, func() bool { return strings.Contains(strings.Join(p.found(), "\n"), c.want) }, patience, 10*time.Millisecond)
			p.forgive()
		})
	}
}
