package channeltest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
	"unicode/utf16"
)

// MetaRefusal is how Meta refuses a call: HTTP status, code and subcode.
type MetaRefusal struct {
	Status, Code, Subcode int
	// RetryAfter is told in the header of that name; 0: not at all.
	RetryAfter time.Duration
}

// meta is what the fakes of Messenger and WhatsApp have in common: Meta's Graph API without sockets, and its hooks.
type meta struct {
	mu       sync.Mutex
	token    string
	secret   string
	verify   string
	hook     http.Handler
	refusals []*refusing
	refused  int
	slow     time.Duration
	lastID   int
	faults   []string

	requireProof bool
}

// MetaProof is for a call whose proof of the app's secret is missing or wrong.
var MetaProof = MetaRefusal{Status: http.StatusBadRequest, Code: 100}

// refusing is a refusal that lasts for some calls.
type refusing struct {
	MetaRefusal
	after int // messages that are taken before
	left  int // -1: until it is taken back
}

func newMeta() meta { return meta{token: random(), secret: random(), verify: random()} }

// Faults are what was wrong with messages that the fake refused since they cannot be.
func (m *meta) Faults() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.faults)
}

// fault notes what was wrong. Its caller holds the lock.
func (m *meta) fault(what string) { m.faults = append(m.faults, what) }

// random is a text that nobody can guess, for what an app at Meta keeps secret.
func random() string { return rand.Text() }

// Token is the access token that the fake takes.
func (m *meta) Token() string { return m.token }

// AppSecret is what the fake signs its web hooks with.
func (m *meta) AppSecret() string { return m.secret }

// RequireAppSecret has the fake refuse calls without a proof of the app's secret, as Meta does with the setting of that
// name. A wrong proof is always refused.
func (m *meta) RequireAppSecret() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requireProof = true
}

// proven reports whether a call has the proof of the app's secret that it needs. Its caller holds the lock.
func (m *meta) proven(r *http.Request) bool {
	proof := r.URL.Query().Get("appsecret_proof")
	if proof == "" {
		return !m.requireProof
	}
	mac := hmac.New(sha256.New, []byte(m.secret))
	mac.Write([]byte(m.token))
	return proof == hex.EncodeToString(mac.Sum(nil))
}

// VerifyToken is what the fake verifies the address of the web hook with.
func (m *meta) VerifyToken() string { return m.verify }

// Hook says where web hooks go, and verifies that the address is the app's, as Meta does before the first.
func (m *meta) Hook(h http.Handler) error {
	challenge := random()
	r := httptest.NewRequest(http.MethodGet, "/?hub.mode=subscribe&hub.verify_token="+m.verify+"&hub.challenge="+challenge, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.Body.String() != challenge {
		return fmt.Errorf("channeltest: the web hook does not answer Meta's verification: HTTP %d", w.Code)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = h
	return nil
}

// Refuse has the next n messages refused; n < 0: all, until Accept.
func (m *meta) Refuse(n int, r MetaRefusal) { m.RefuseAfter(0, n, r) }

// RefuseAfter is Refuse, once some messages were taken.
func (m *meta) RefuseAfter(taken, n int, r MetaRefusal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusals = append(m.refusals, &refusing{r, taken, n})
}

// Accept ends all refusals.
func (m *meta) Accept() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusals = nil
}

// Refused is how many messages were refused, for whatever reason.
func (m *meta) Refused() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused
}

// Slow makes each call take this long.
func (m *meta) Slow(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slow = d
}

// refusal is how the next message to a user is refused. Its caller holds the lock.
func (m *meta) refusal(w *Wall, words map[Refusal]MetaRefusal) (MetaRefusal, bool) {
	if r, ok := w.Refuses(); ok {
		return words[r], true
	}
	for _, r := range m.refusals {
		switch {
		case r.after > 0:
			r.after--
		case r.left != 0:
			r.left--
			return r.MetaRefusal, true
		}
	}
	return MetaRefusal{}, false
}

// newID makes an id. Its caller holds the lock.
func (m *meta) newID(prefix string) string {
	m.lastID++
	return fmt.Sprint(prefix, m.lastID)
}

// roundTripper answers calls without a socket, so that time can be faked.
type roundTripper func(r *http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serve has calls answered by a handler, after Slow.
func (m *meta) serve(answer func(w http.ResponseWriter, r *http.Request)) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		m.mu.Lock()
		slow := m.slow
		m.mu.Unlock()
		if slow > 0 {
			select {
			case <-time.After(slow):
			case <-r.Context().Done():
			}
		}
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
		if r.Body == nil {
			r.Body = http.NoBody
		}
		defer r.Body.Close()
		w := httptest.NewRecorder()
		m.mu.Lock()
		answer(w, r)
		m.mu.Unlock()
		response := w.Result()
		response.Request = r
		return response, nil
	})}
}

// refuse answers a call with an error, as Meta words it. Its caller holds the lock.
func (m *meta) refuse(w http.ResponseWriter, r MetaRefusal) {
	m.refused++
	if r.Status == 0 {
		r.Status = http.StatusBadRequest
	}
	if r.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(r.RetryAfter.Seconds())))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.Status)
	fmt.Fprintf(w, `{"error":{"message":"(#%d) refused","type":"OAuthException","code":%d,"error_subcode":%d,"fbtrace_id":"x"}}`, r.Code, r.Code, r.Subcode)
}

// authorized reports whether a call has the token, and nowhere but in its header.
func (m *meta) authorized(r *http.Request) bool {
	return r.Header.Get("Authorization") == "Bearer "+m.token && !r.URL.Query().Has("access_token")
}

// strict decodes a body, and refuses members that Meta does not know.
func strict(r *http.Request, into any) bool {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into) == nil
}

// units is the length of a text as Meta counts it.
func units(text string) int { return len(utf16.Encode([]rune(text))) }

// Post sends a body to the web hook, signed, and returns the status of the answer; 0 without a hook.
func (m *meta) Post(ctx context.Context, body []byte) int {
	mac := hmac.New(sha256.New, []byte(m.secret))
	mac.Write(body)
	return m.PostSigned(ctx, body, "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

// PostSigned sends a body with a signature of the test's own.
func (m *meta) PostSigned(ctx context.Context, body []byte, signature string) int {
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook == nil {
		return 0
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Hub-Signature-256", signature)
	w := httptest.NewRecorder()
	hook.ServeHTTP(w, r)
	return w.Code
}

// repeats is how often a hook is repeated that is not answered 200, pause how long after the first time, and longest the
// longest pause: each is twice as long as the one before.
const (
	repeats = 100
	pause   = 5 * time.Second
	longest = 5 * time.Minute
)

// untilTaken posts until that is taken.
func untilTaken(post func() (taken bool)) {
	wait := pause
	for range repeats {
		if post() {
			return
		}
		time.Sleep(wait)
		wait = min(2*wait, longest)
	}
}

// deliver posts a hook until it is answered 200. Without a hook it does nothing.
func (m *meta) deliver(body []byte) {
	untilTaken(func() bool {
		status := m.Post(context.Background(), body)
		return status == http.StatusOK || status == 0
	})
}
