package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/signedlink"
	"github.com/crisphandover/handover/internal/worker"
)

var (
	testHistory = History{URL: "https://bot.example.com/history", SigningKey: NewSecret(strings.Repeat("k", 32))}
	testChat    = Conversation{WebsiteID: "w", Source: "webchat", ID: "chat/1?x=é\x00"}
)

// token returns the token of a conversation's link.
func (h History) token(t testing.TB, c Conversation, now time.Time) string {
	u, err := url.Parse(h.link(c, now))
	require.NoError(t, err)
	return u.Query().Get("t")
}

func TestHistoryLink(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []Conversation{testChat, {}, {ID: "1"}, {Source: "1"}, {ID: "\xff\xfe"}, {ID: strings.Repeat("x", 3000)}} {
		got, err := testHistory.open(testHistory.token(t, c, now), now)
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	require.NotEqual(t, testHistory.link(Conversation{Source: "ab", ID: "c"}, now), testHistory.link(Conversation{Source: "a", ID: "bc"}, now))
	require.Equal(t, testHistory.link(testChat, now), testHistory.link(testChat, now), "a repeated step posts the same link")
	require.Empty(t, History{SigningKey: testHistory.SigningKey}.link(testChat, now), "no page, no link")

	withQuery := testHistory
	withQuery.URL += "?tenant=a%26b"
	u, err := url.Parse(withQuery.link(testChat, now))
	require.NoError(t, err)
	require.Equal(t, "a&b", u.Query().Get("tenant"))
	require.NotEmpty(t, u.Query().Get("t"))
}

func TestHistoryLinkExpires(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 999, time.UTC)
	hour := testHistory
	hour.TTL = time.Hour
	for _, row := range []struct {
		name    string
		history History
		after   time.Duration
		want    error
	}{
		{"default", testHistory, 30*24*time.Hour - 2*time.Second, nil},
		{"default, over", testHistory, 30 * 24 * time.Hour, signedlink.ErrExpired},
		{"an hour", hour, time.Hour - 2*time.Second, nil},
		{"an hour, over", hour, time.Hour, signedlink.ErrExpired},
		{"much later", hour, 100 * 365 * 24 * time.Hour, signedlink.ErrExpired},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := row.history.open(row.history.token(t, testChat, now), now.Add(row.after))
			require.ErrorIs(t, err, row.want)
		})
	}
}

func TestHistoryKeys(t *testing.T) {
	now := time.Now()
	rotated := History{URL: testHistory.URL, SigningKey: NewSecret(strings.Repeat("n", 32)), OldSigningKeys: []Secret{testHistory.SigningKey, NewSecret(strings.Repeat("x", 32))}}
	_, err := rotated.open(testHistory.token(t, testChat, now), now)
	require.NoError(t, err, "an old key's link opens")
	_, err = testHistory.open(rotated.token(t, testChat, now), now)
	require.ErrorIs(t, err, signedlink.ErrWrong, "links are signed with the new key")

	_, err = History{OldSigningKeys: NewSecrets("")}.open(History{URL: testHistory.URL}.token(t, testChat, now), now)
	require.ErrorIs(t, err, signedlink.ErrWrong, "an empty key signs nothing")

	expired := testHistory.token(t, testChat, now.Add(-365*24*time.Hour))
	_, err = rotated.open(expired, now)
	require.ErrorIs(t, err, signedlink.ErrExpired)
	rotated.OldSigningKeys = nil
	_, err = rotated.open(expired, now)
	require.ErrorIs(t, err, signedlink.ErrWrong, "only who has the key learns that a link was once good")
}

func TestHistoryLinkAltered(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	token := testHistory.token(t, testChat, now)
	for i := range token {
		for _, c := range []byte("A_\n") {
			altered := token[:i] + string(c) + token[i+1:]
			if altered == token {
				continue
			}
			_, err := testHistory.open(altered, now)
			require.ErrorIs(t, err, signedlink.ErrWrong)
		}
	}
	for _, altered := range []string{"", token + "A", token + "=", token[:len(token)-1], token + "\n", "\r" + token, " " + token,
		strings.ToLower(token), token + token} {
		_, err := testHistory.open(altered, now)
		require.ErrorIs(t, err, signedlink.ErrWrong, altered)
	}
}

// What was signed with the key but is none of ours, as an older or newer version of the library may
// have made.
func TestHistoryLinkOfAnotherVersion(t *testing.T) {
	now := time.Now()
	for _, fields := range [][]string{nil, {"w"}, {"w", "webchat"}, {"w", "webchat", "1", "more"}} {
		_, err := testHistory.open(signedlink.Sign(historyPurpose, testHistory.SigningKey.Reveal(), now.Add(time.Hour), fields...), now)
		require.ErrorIs(t, err, signedlink.ErrWrong, "%q", fields)
	}
	other := signedlink.Sign("something else", testHistory.SigningKey.Reveal(), now.Add(time.Hour), "w", "webchat", "1")
	_, err := testHistory.open(other, now)
	require.ErrorIs(t, err, signedlink.ErrWrong)
}

func TestHistoryValidate(t *testing.T) {
	key := strings.Repeat("k", 32)
	for _, row := range []struct {
		name    string
		history History
		want    []string
	}{
		{"none", History{}, nil},
		{"good", History{URL: "http://localhost:8080/history?a=b", SigningKey: NewSecret(key), OldSigningKeys: NewSecrets(key), TTL: time.Second}, nil},
		{"key alone", History{SigningKey: NewSecret(key)}, nil},
		{"no key", History{URL: "https://x/h"}, []string{"History.SigningKey must be set"}},
		{"short key", History{URL: "https://x/h", SigningKey: NewSecret(key[1:])}, []string{"at least 32 bytes"}},
		{"short old key", History{URL: "https://x/h", SigningKey: NewSecret(key), OldSigningKeys: NewSecrets("")}, []string{"at least 32 bytes"}},
		{"relative", History{URL: "/history", SigningKey: NewSecret(key)}, []string{"History.URL"}},
		{"no host", History{URL: "https:///history", SigningKey: NewSecret(key)}, []string{"History.URL"}},
		{"other scheme", History{URL: "javascript:alert(1)", SigningKey: NewSecret(key)}, []string{"History.URL"}},
		{"fragment", History{URL: "https://x/#h", SigningKey: NewSecret(key)}, []string{"History.URL"}},
		{"not a URL", History{URL: "https://x/%zz", SigningKey: NewSecret(key)}, []string{"History.URL"}},
		{"never", History{URL: "https://x/h", SigningKey: NewSecret(key), TTL: -1}, []string{"History.TTL"}},
		{"all at once", History{URL: "x", SigningKey: NewSecret("short"), TTL: 1}, []string{"History.URL", "at least 32 bytes", "History.TTL"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var faults []error
			row.history.links().Faults("History", func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) })
			err := errors.Join(faults...)
			if row.want == nil {
				require.NoError(t, err)
			}
			for _, want := range row.want {
				require.ErrorContains(t, err, want)
			}
			if row.history.SigningKey.Reveal() != "" && err != nil {
				require.NotContains(t, err.Error(), row.history.SigningKey.Reveal())
			}
		})
	}
}

// visit asks the page for a conversation, by GET with a good link unless change says otherwise.
func visit(t *testing.T, p historyPage, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	if p.logger == nil {
		p.logger = slog.New(slog.DiscardHandler)
	}
	p.history = testHistory
	r := httptest.NewRequest(http.MethodGet, testHistory.link(testChat, time.Now()), nil)
	if change != nil {
		change(r)
	}
	if p.observed == nil {
		p.observed = func(Activity) {}
	}
	if p.bulkhead == nil {
		p.bulkhead = worker.NewBulkhead(worker.BulkheadOptions{})
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)

	nonce := regexp.MustCompile(`script-src 'nonce-([A-Z2-7]{26})'`).FindStringSubmatch(w.Header().Get("Content-Security-Policy"))
	require.Len(t, nonce, 2)
	images := "data:"
	if strings.Contains(w.Body.String(), "<img") {
		images = "https: http: data:"
	}
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'; img-src "+images+"; style-src 'nonce-"+nonce[1]+
		"'; script-src 'nonce-"+nonce[1]+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if w.Body.Len() > 0 {
		require.Equal(t, 2, strings.Count(w.Body.String(), `nonce="`+nonce[1]+`"`))
		require.Contains(t, w.Body.String(), "<title>Conversation")
	}
	for name, value := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive",
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		require.Equal(t, value, w.Header().Get(name))
	}
	return w
}

// asking adds parameters to the link.
func asking(parameters string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery += "&" + parameters }
}

// showing returns a page of these messages, for testChat only.
func showing(t *testing.T, messages ...Message) historyPage {
	return historyPage{transcript: func(_ context.Context, c Conversation) ([]Message, error) {
		require.Equal(t, testChat, c)
		return messages, nil
	}}
}

func TestHistoryPage(t *testing.T) {
	at := time.Date(2026, 5, 1, 14, 30, 5, 0, time.FixedZone("", 2*3600))
	text := func(s string) RichMessage { return RichMessage{Text: s} }
	attached := func(kind, url string) RichMessage {
		return RichMessage{Attachment: &Attachment{Type: kind, Payload: AttachmentPayload{URL: url}}}
	}
	template := func(payload AttachmentPayload) RichMessage {
		payload.TemplateType = "generic"
		return RichMessage{Attachment: &Attachment{Type: "template", Payload: payload}}
	}
	for _, row := range []struct {
		name        string
		message     Message
		want, never []string
	}{
		{"user", Message{From: FromUser, Content: text("hi"), At: at},
			[]string{`class="message user"`, `<bdi>User</bdi>`, `<p class="text" dir="auto">hi</p>`,
				`<time datetime="2026-05-01T12:30:05Z">1 May 2026, 12:30 UTC</time>`}, nil},
		{"no time", Message{From: FromUser, Content: text("hi")}, nil, []string{"<time"}},
		{"bot", Message{From: FromBot, Content: text("hi")}, []string{`class="message bot"`, `<bdi>Bot</bdi>`}, nil},
		{"agent", Message{From: FromAgent, Agent: Agent{Name: "Ann"}, Content: text("hi")}, []string{`class="message agent"`, `<bdi>Ann (agent)</bdi>`}, nil},
		{"agent without a name", Message{From: FromAgent, Agent: Agent{Name: " "}, Content: text("hi")}, []string{`<bdi>Agent</bdi>`}, nil},
		{"agent who is called Bot", Message{From: FromAgent, Agent: Agent{Name: "Bot"}}, []string{`<bdi>Bot (agent)</bdi>`}, nil},
		{"system", Message{From: FromSystem, Content: text("hi")}, []string{`class="message system"`, `<bdi>System</bdi>`}, nil},
		{"unknown sender", Message{From: `"><x`, Content: text("hi")}, []string{`class="message other"`}, []string{"<x"}},
		{"nothing", Message{From: FromUser}, []string{"(nothing that can be shown here)"}, nil},
		{"lines", Message{Content: text("a\n\n  b")}, []string{"a\n\n  b</p>"}, nil},
		{"hostile text", Message{From: FromAgent, Agent: Agent{Name: "<script>name</script>"}, Content: text(`</p><script>alert("x")</script>{{.Nonce}}`)},
			[]string{"&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;{{.Nonce}}", "&lt;script&gt;name&lt;/script&gt;"}, []string{"<script>"}},
		{"quick replies", Message{Content: RichMessage{Text: "Which?", QuickReplies: []QuickReply{
			{Title: "<b>Sales</b>", ImageURL: "https://x/i.png"}, {Title: "Help", ImageURL: "javascript:x"},
			{ContentType: "user_email"}, {ContentType: "user_phone_number"}, {Payload: "only a payload"}}}},
			[]string{`<bdi>&lt;b&gt;Sales&lt;/b&gt;</bdi>`, `src="https://x/i.png"`, `<li><bdi>Help</bdi></li>`,
				"user&#39;s email", "user&#39;s phone", "only a payload"},
			[]string{"javascript"}},
		{"image", Message{From: FromUser, Content: attached("image", "https://x/a%20b.png?q=1&r=2")},
			[]string{`<img src="https://x/a%20b.png?q=1&amp;r=2" alt="a b.png" referrerpolicy="no-referrer">`}, nil},
		{"image by http", Message{Content: attached("image", "http://x/a.png")}, []string{`<img src="http://x/a.png"`}, nil},
		{"image by MIME type", Message{Content: attached("file", "https://x/1"), File: &File{URL: "https://x/2", Name: "cat", MIMEType: "image/png", Size: 12345}},
			[]string{`<img src="https://x/2" alt="cat"`, "image/png, 12.3 kB"}, []string{"https://x/1"}},
		{"image as data", Message{Content: attached("image", "data:image/svg+xml,<svg onload=x>")}, []string{"not linked"}, []string{"<img", "svg"}},
		{"image of a script", Message{Content: attached("image", "javascript:alert(1)")}, []string{"not linked"}, []string{"<img", "javascript"}},
		{"image without host", Message{Content: attached("image", "//evil/x.png")}, []string{"not linked"}, []string{"<img", "evil"}},
		{"image of nowhere", Message{Content: attached("image", "https:///x.png")}, []string{"not linked"}, []string{"<img"}},
		{"file", Message{Content: attached("file", "https://x/invoice.pdf"), File: &File{URL: "https://x/invoice.pdf", MIMEType: "application/pdf", Size: 2_345_678}},
			[]string{`<a href="https://x/invoice.pdf" target="_blank" rel="noopener noreferrer nofollow"><bdi>invoice.pdf</bdi></a>`, "application/pdf, 2.3 MB"}, []string{"<img"}},
		{"voice", Message{Content: attached("audio", "https://x/"), File: &File{URL: "https://x/", Duration: 63 * time.Second}},
			[]string{`<bdi>audio</bdi>`, "1m3s"}, nil},
		{"file with a secret", Message{Content: attached("file", "https://api.telegram.org/file/bot123:SECRET/doc.pdf")}, []string{"not linked"}, []string{"SECRET"}},
		{"file that looks like one", Message{Content: attached("image", "https://x/file/bottle.png")}, []string{`<img src="https://x/file/bottle.png"`}, nil},
		{"file with a password", Message{Content: attached("file", "https://me:SECRET@x/doc.pdf")}, []string{"not linked"}, []string{"SECRET"}},
		{"hostile file name", Message{File: &File{URL: "https://x/", Name: `"><img src=x>`}}, []string{"&lt;img src=x&gt;"}, []string{"<img"}},
		{"button template", Message{Content: template(AttachmentPayload{Text: "Choose", Buttons: []Button{
			{Type: "web_url", Title: "Open", URL: "https://x/"}, {Type: "postback", Title: "Buy", Payload: "p"},
			{Title: "Bad", URL: "javascript:alert(1)"}, {Title: "Mail", URL: "mailto:a@b.c"}, {Title: "Call", URL: "tel:+331234"}, {URL: "https://untitled/"}}})},
			[]string{`dir="auto">Choose</p>`, `<a href="https://x/" target="_blank" rel="noopener noreferrer nofollow"><bdi>Open</bdi></a>`, `<li><bdi>Buy</bdi></li>`,
				`<li><bdi>Bad</bdi></li>`, `href="mailto:a@b.c"`, `href="tel:&#43;331234"`, `<bdi>https://untitled/</bdi>`},
			[]string{"javascript", "ZgotmplZ"}},
		{"generic template", Message{Content: template(AttachmentPayload{Elements: []Element{
			{Title: "A <b>", Subtitle: "sub", ImageURL: "https://x/e.png", Buttons: []Button{{Title: "More", URL: "https://x/m"}}},
			{Title: "B", DefaultAction: &Button{URL: "https://x/b"}}, {Title: "C", DefaultAction: &Button{URL: "javascript:x"}}}})},
			[]string{`<b>A &lt;b&gt;</b>`, `dir="auto">sub</p>`, `src="https://x/e.png"`, `href="https://x/m"`,
				`<b><a href="https://x/b" target="_blank" rel="noopener noreferrer nofollow">B</a></b>`, `<b>C</b>`}, []string{"javascript"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			closed := visit(t, showing(t, row.message), nil)
			require.Equal(t, http.StatusOK, closed.Code)
			require.NotContains(t, closed.Body.String(), "<img", "pictures are loaded on demand")
			w := visit(t, showing(t, row.message), asking("pictures=all"))
			require.Equal(t, strings.Contains(w.Body.String(), "<img"), strings.Contains(closed.Body.String(), "Load pictures"))
			for _, want := range row.want {
				require.Contains(t, w.Body.String(), want)
			}
			_, list, ok := strings.Cut(w.Body.String(), "<ol start=\"1\">")
			require.True(t, ok)
			list, _, _ = strings.Cut(list, "</ol>")
			for _, never := range row.never {
				require.NotContains(t, list, never)
			}
		})
	}
}

func TestHistoryPageKeepsTheOrder(t *testing.T) {
	body := visit(t, showing(t, Message{Content: RichMessage{Text: "first"}}, Message{Content: RichMessage{Text: "second"}}), nil).Body.String()
	require.Less(t, strings.Index(body, "first"), strings.Index(body, "second"))
	require.Contains(t, visit(t, showing(t), nil).Body.String(), "There are no messages.")
}

func TestHistoryPageHead(t *testing.T) {
	page := showing(t, Message{Content: RichMessage{Text: "hi"}})
	require.NotContains(t, visit(t, page, nil).Body.String(), "<dl>")
	page.head = func(_ context.Context, c Conversation) ([]HistoryField, error) {
		require.Equal(t, testChat, c)
		return []HistoryField{{"Email", "<a@b.c>"}}, nil
	}
	require.Contains(t, visit(t, page, nil).Body.String(), `<dt dir="auto">Email</dt><dd dir="auto">&lt;a@b.c&gt;</dd>`)
	for _, fail := range []func() error{func() error { return errors.New("down") }, func() error { panic("down") }} {
		page.head = func(context.Context, Conversation) ([]HistoryField, error) { return nil, fail() }
		w := visit(t, page, nil)
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Body.String(), "hi")
	}
}

func TestHistoryPageRefuses(t *testing.T) {
	page := historyPage{transcript: func(context.Context, Conversation) ([]Message, error) {
		t.Error("the transcript was read")
		return nil, nil
	}}
	query := func(q string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = q } }
	old := testHistory.token(t, testChat, time.Now().Add(-31*24*time.Hour))
	var wrong []string
	for _, row := range []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"no link", query(""), 404},
		{"not a link", query("t=hello"), 404},
		{"bad query", query("t=%zz"), 404},
		{"altered", func(r *http.Request) { r.URL.RawQuery += "A" }, 404},
		{"of another key", query("t=" + History{URL: "https://x/", SigningKey: NewSecret("other")}.token(t, testChat, time.Now())), 404},
		{"expired", query("t=" + old), 410},
		{"expired and altered", query("t=" + old + "A"), 404},
		{"POST", func(r *http.Request) { r.Method = http.MethodPost }, 405},
		{"DELETE", func(r *http.Request) { r.Method = http.MethodDelete }, 405},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := visit(t, page, row.change)
			require.Equal(t, row.status, w.Code)
			require.NotContains(t, w.Body.String(), "chat")
			if row.status == 405 {
				require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
			}
			if row.status == 404 {
				wrong = append(wrong, regexp.MustCompile(`nonce="\w+"`).ReplaceAllString(w.Body.String(), ""))
			}
		})
	}
	for _, body := range wrong {
		require.Equal(t, wrong[0], body, "all wrong links look the same")
	}
	require.Equal(t, http.StatusNotFound, visit(t, historyPage{}, nil).Code, "nothing to show")
}

func TestHistoryPageHEAD(t *testing.T) {
	page := showing(t, Message{Content: RichMessage{Text: "hi"}})
	get := visit(t, page, nil)
	head := visit(t, page, func(r *http.Request) { r.Method = http.MethodHead })
	require.Equal(t, http.StatusOK, head.Code)
	require.Zero(t, head.Body.Len())
	require.Equal(t, get.Header().Get("Content-Length"), head.Header().Get("Content-Length"))
}

func TestHistoryPageWhenTranscriptFails(t *testing.T) {
	var none []int
	for _, row := range []struct {
		name string
		fail func() error
		told string
	}{
		{"error", func() error { return errors.New("database is down") }, "database is down"},
		{"panic", func() error { panic("user said: secret") }, "panic with a string"},
		{"runtime panic", func() error { return []error{}[len(none)] }, "index out of range"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var logged bytes.Buffer
			var told error
			w := visit(t, historyPage{
				logger:     slog.New(slog.NewTextHandler(&logged, nil)),
				observed:   func(a Activity) { told = a.Err },
				transcript: func(context.Context, Conversation) ([]Message, error) { return nil, row.fail() },
			}, nil)
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.NotContains(t, w.Body.String(), row.told)
			require.Contains(t, logged.String(), "Config.Transcript failed")
			require.NotContains(t, logged.String(), row.told, "a callback's words may quote users")
			require.ErrorContains(t, told, row.told)
			require.NotContains(t, told.Error(), "secret")
			require.NotContains(t, logged.String(), "secret")
			require.NotContains(t, logged.String(), "chat/1")
		})
	}
}

func TestHistoryPageDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := visit(t, historyPage{transcript: func(ctx context.Context, _ Conversation) ([]Message, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, nil)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
	})
}

func TestHistoryPageDoesNotWaitForACallbackThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var hung atomic.Int64
		p := historyPage{
			bulkhead: worker.NewBulkhead(worker.BulkheadOptions{Abandoned: 1}),
			transcript: func(context.Context, Conversation) ([]Message, error) {
				hung.Add(1)
				<-release
				return nil, nil
			},
		}
		for range 5 {
			require.Equal(t, http.StatusServiceUnavailable, visit(t, p, nil).Code)
		}
		require.Less(t, hung.Load(), int64(5), "whoever has a link cannot make more and more of them hang")
		close(release)
		synctest.Wait()
		require.Equal(t, http.StatusOK, visit(t, p, nil).Code)
	})
}

func FuzzHistoryLink(f *testing.F) {
	f.Add("w", "webchat", "1", uint32(0), "")
	f.Add("", "a", "bc", uint32(59), "AAAA")
	f.Add("w", "", "\xff\x00", uint32(3599), testHistory.token(f, Conversation{Source: "ab", ID: "c"}, time.Unix(0, 0)))
	f.Add("", "", "", uint32(3600), "\n")
	f.Fuzz(func(t *testing.T, website, source, id string, age uint32, other string) {
		issued := time.Unix(1_800_000_000, 0)
		hour := testHistory
		hour.TTL = time.Hour
		c := Conversation{WebsiteID: website, Source: source, ID: id}
		token := hour.token(t, c, issued)
		got, err := hour.open(token, issued.Add(time.Duration(age)*time.Second))
		if age < 3600 {
			require.NoError(t, err)
			require.Equal(t, c, got)
		} else {
			require.ErrorIs(t, err, signedlink.ErrExpired)
		}
		at := 0
		if n := len(token); n > 0 {
			at = int(age) % n
		}
		for _, altered := range []string{other, token + other, other + token, token[:at] + other, token[:at] + other + token[at:]} {
			if altered != token {
				got, err := hour.open(altered, issued)
				require.Error(t, err)
				require.Zero(t, got)
			}
		}
	})
}
