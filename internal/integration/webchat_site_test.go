//go:build unix

package integration

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/webchat"
	"github.com/crisphandover/handover/handovertest"
)

// site is a host's site with the webchat on each page, and a strict policy of its own.
type site struct {
	t      *testing.T
	crisp  *handovertest.Crisp
	files  *webchat.MemoryFiles
	store  *webchat.MemoryStore
	chat   *webchat.Chat
	listen string       // the address
	pages  atomic.Int64 // whose streams are open
	stop   func()
}

// sitePolicy is what a careful host has: no inline script or style, nothing from elsewhere.
const sitePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; frame-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, crisp: handovertest.NewCrisp(t, handovertest.Options{Operators: []string{"Ann"}}), files: &webchat.MemoryFiles{}, store: &webchat.MemoryStore{}, listen: "127.0.0.1:0"}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start starts a server; stop stops it. The stores stay, as databases would.
func (s *site) start() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.listen)
	require.NoError(s.t, err)
	s.listen = listener.Addr().String()
	s.chat, err = webchat.New(webchat.Config{
		URL: s.base() + "/chat/", Key: handover.NewSecret(strings.Repeat("k", 32)), Title: "Acorn Bikes", Store: s.store, Files: s.files,
		Welcome: func(v webchat.Visitor) handover.RichMessage {
			m := handover.TextMessage("Welcome to Acorn Bikes! " + v.User.FirstName)
			m.QuickReplies = []handover.QuickReply{{ContentType: "text", Title: "Talk to a human", Payload: "human"}}
			return m
		},
	})
	require.NoError(s.t, err)
	config := s.crisp.Config()
	config.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if m.Payload == "human" {
			return &handover.Request{}, nil
		}
		return nil, s.chat.SendOnce(ctx, m.Conversation.ID, m.ID, handover.TextMessage("You said "+m.Text))
	}
	require.NoError(s.t, s.chat.Attach(&config))
	h, err := handover.New(config)
	require.NoError(s.t, err)
	halt := s.crisp.Run(h)
	mux := http.NewServeMux()
	chat := s.chat.Handler(h)
	mux.Handle("/chat/", chat)
	mux.HandleFunc("GET /chat/events", func(w http.ResponseWriter, r *http.Request) {
		s.pages.Add(1)
		defer s.pages.Add(-1)
		chat.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /site.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		_, _ = w.Write([]byte(`:root { color-scheme: light dark; } body { margin: 2rem; font: 1.1rem serif; background: Canvas; color: CanvasText; } a { color: inherit; } button, iframe { display: none !important; background: red; }`))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	s.stop = func() {
		server.Close()
		halt()
	}
}

func (s *site) base() string { return "http://" + s.listen }

// page is a page of the host's. ?user= is who is signed in, ?lang= the language.
func (s *site) page(w http.ResponseWriter, r *http.Request) {
	token, user := "", r.FormValue("user")
	if user != "" {
		var err error
		if token, err = s.chat.Token(webchat.Login{UserID: user, User: handover.UserData{FirstName: user}}); err != nil {
			http.Error(w, "no token", http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Security-Policy", sitePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	dir := map[bool]string{true: "rtl", false: "ltr"}[r.FormValue("lang") == "ar"]
	fmt.Fprintf(w, `<!doctype html><html lang="%s" dir="%s"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Acorn Bikes</title>
<link rel="icon" href="/chat/page/icon.svg"><link rel="stylesheet" href="/site.css">
<script src="/chat/widget.js" data-session="%s" defer></script>
<main><h1>Acorn Bikes</h1><p>Bicycles for everybody. <a href="/">Our shop</a></p></main>`, cmp.Or(r.FormValue("lang"), "en"), dir, token)
}

// opened is an open page of a site, whose widget shows its frame.
func (s *site) opened(browser context.Context, name, query string) *tab {
	s.t.Helper()
	p := newTab(s.t, browser, name, s.base()+"/"+query)
	p.opensWidget()
	p.framed(isReady)
	return p
}

const (
	launcher = `document.querySelector("#webchat")?.shadowRoot.querySelector("button")`
	isReady  = `document.querySelector("#log")?.ariaBusy === "false" && document.querySelector("#who").textContent !== "Connecting…"`
	isOpen   = launcher + `.ariaExpanded === "true"`
)

// opensWidget clicks the widget's button, once it is there and nothing covers it. It closes the chat as well.
func (p *tab) opensWidget() {
	p.t.Helper()
	require.NoError(p.t, p.becomes(`((b) => {
		if (!b) return false;
		const at = b.getBoundingClientRect();
		if (document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2)?.id !== "webchat") return false;
		b.click();
		return true;
	})(`+launcher+`)`, byHand), "%s clicks in vain on the widget's button", p.name)
}

// framedSees waits until the frame's log shows exactly these lines.
func (p *tab) framedSees(want ...string) {
	p.t.Helper()
	lines, err := json.Marshal(want)
	require.NoError(p.t, err)
	if p.becomes(inFrame("JSON.stringify("+shown(userLog)+") === JSON.stringify("+string(lines)+")")) != nil {
		require.Equal(p.t, want, eval[[]string](p, inFrame(shown(userLog))), "%s", p.name)
	}
}

// TestWebchatSite uses the widget with the keyboard alone, on screens of all kinds; axe finds nothing. The page's own
// styles do not reach it, and its policy forbids nothing that it needs.
func TestWebchatSite(t *testing.T) {
	axe, browser, s := axeSource(t), startBrowser(t), startSite(t)
	p := newTab(t, browser, "keyboard", s.base()+"/?user=Ann")
	require.Zero(t, eval[int](p, `document.querySelector("#webchat").shadowRoot.querySelectorAll("iframe").length`), "nothing is loaded before it is wanted")
	p.tabTo(`document.activeElement.id === "webchat"`)
	require.Equal(t, "Open chat", eval[string](p, launcher+`.ariaLabel`))
	p.enter()
	p.framed(isReady)
	p.framed(`document.activeElement?.id === "text"`)
	p.do(chromedp.KeyEvent("Hello"))
	p.enter()
	p.framedSees("You: Hello", "Bot: You said Hello")
	p.framed(`document.querySelector("#log").textContent.includes("Welcome to Acorn Bikes! Ann")`)
	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 800}, {"phone", 390, 740}} {
		p.size(screen.width, screen.height)
		for _, dark := range []bool{false, true} {
			p.dark(dark)
			what := fmt.Sprintf("%s, dark %t", screen.name, dark)
			p.requireFrameAccessible(axe, what)
			p.shoot("webchat-site-" + screen.name + map[bool]string{true: "-dark"}[dark])
		}
	}
	p.size(1280, 800)
	p.dark(false)
	p.do(chromedp.KeyEvent(kb.Escape))
	p.waits(`!(` + isOpen + `) && document.activeElement.id === "webchat"`)
	p.enter()
	p.waits(isOpen)
	p.do(chromedp.Reload())
	p.framed(isReady)
	p.waits(isOpen) // on the next page, too
	p.framedSees("You: Hello", "Bot: You said Hello")
	require.Equal(t, "BODY", eval[string](p, `document.activeElement.tagName`), "a page that loads keeps its focus")
}

// requireFrameAccessible has axe look at the host's page, and at the page in the frame.
func (p *tab) requireFrameAccessible(axe, what string) {
	p.t.Helper()
	for _, window := range []string{`window`, `document.querySelector("#webchat").shadowRoot.querySelector("iframe").contentWindow`} {
		_, err := chromedp.Run(p.ctx, chromedp.Evaluate[chromedp.Void](`(function (window) { const {document, Node, Element, HTMLElement} = window; `+axe+`; window.axe = window.axe ?? globalThis.axe; })(`+window+`)`))
		require.NoError(p.t, err)
		result := eval[struct {
			Passes int      `json:"passes"`
			Faults []string `json:"faults"`
		}](p, `(`+window+`).axe.run((`+window+`).document).then((r) => ({passes: r.passes.length, faults: r.violations
			.filter((v) => ["serious", "critical"].includes(v.impact)).flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html + " " + n.failureSummary))}))`)
		require.Empty(p.t, result.Faults, "%s", what)
		require.Greater(p.t, result.Passes, 10, "%s", what)
	}
}

// hide makes a page look hidden, as behind another tab, or shown again.
func (p *tab) hide(on bool) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`[document, document.querySelector("#webchat").shadowRoot.querySelector("iframe").contentDocument].every((d) => {
		Object.defineProperty(d, "hidden", {value: %t, configurable: true});
		return d.dispatchEvent(new Event("visibilitychange"));
	})`, on))
}

// TestWebchatUnread counts what the user has not seen: on the button while the chat is closed, in the title while the
// page is hidden.
func TestWebchatUnread(t *testing.T) {
	s := startSite(t)
	p := s.opened(startBrowser(t), "Ann", "?user=Ann")
	conv := s.chat.Conversation("Ann")
	says := func(text string) {
		t.Helper()
		require.NoError(t, s.chat.Send(t.Context(), conv.ID, handover.TextMessage(text)))
	}
	badge := `document.querySelector("#webchat").shadowRoot.querySelector(".badge").textContent`
	says("One")
	p.framedSees("Bot: One")
	require.Empty(t, eval[string](p, badge))
	p.hide(true)
	says("Two")
	p.waits(`document.title === "(1) Acorn Bikes"`)
	p.hide(false)
	p.waits(`document.title === "Acorn Bikes" && ` + badge + ` === ""`)
	p.opensWidget()
	says("Three")
	says("Four")
	p.waits(badge + ` === "2" && document.title === "Acorn Bikes"`)
	require.Equal(t, "Open chat (2)", eval[string](p, launcher+`.ariaLabel`))
	p.hide(true) // with the chat closed: no connection is kept for what nobody sees
	require.Eventually(t, func() bool { return s.pages.Load() == 0 }, patience, 10*time.Millisecond)
	says("Five")
	p.hide(false)
	p.waits(badge + ` === "3"`)
	require.EqualValues(t, 1, s.pages.Load())
	p.shoot("webchat-badge")
	p.do(chromedp.Reload())
	p.waits(badge + ` === "3"`) // nobody has seen them meanwhile
	p.opensWidget()
	p.framedSees("Bot: One", "Bot: Two", "Bot: Three", "Bot: Four", "Bot: Five")
	p.waits(badge + ` === ""`)
}

// TestWebchatRestart has a new server take the place of another in the middle of a handover: what both sides say
// meanwhile arrives, once.
func TestWebchatRestart(t *testing.T) {
	s := startSite(t)
	p := s.opened(startBrowser(t), "Ann", "?user=Ann")
	p.framed(`((b) => b && (b.click(), true))(` + button(userLog, "Talk to a human") + `)`)
	p.framed(`document.querySelector("#who").textContent === "Waiting for a person"`)
	log := []string{"You: Talk to a human", soon + backTo}
	p.framedSees(log...)
	s.crisp.Last().Operator("Ann").Say("Hello")
	log = append(log[:1], soon+backTo, joined, "Ann (agent): Hello")
	p.framedSees(log...)
	p.excuse(func() {
		s.stop()
		p.framed(`document.querySelector("#who").textContent === "Connecting…"`)
		s.crisp.Last().Operator("Ann").Say("Are you there?")
		p.framedSays("Yes, I am")
		p.framedSees(append(log, "You: Yes, I am {sending…}")...)
		s.start()
		p.framed(`document.querySelector("#who").textContent === "Ann is with you"`)
	})
	p.framed(`((lines) => lines.length === 6 && !lines.join().includes("sending"))(` + shown(userLog) + `)`)
	require.ElementsMatch(t, []string{"You: Talk to a human", soon, joined, "Ann (agent): Hello", "Ann (agent): Are you there?", "You: Yes, I am"},
		eval[[]string](p, inFrame(shown(userLog))))
	require.NoError(t, s.crisp.Await(t.Context(), func() bool {
		return strings.Contains(strings.Join(s.crisp.Last().Transcript(), "\n"), "user: Yes, I am")
	}))
	s.crisp.Last().Operator("Ann").Resolve()
	p.framed(`document.querySelector("#who").textContent === "The bot is with you"`)
}

// TestWebchatPeople has several people use one browser after the other, and one person two browsers.
func TestWebchatPeople(t *testing.T) {
	s, browser := startSite(t), startBrowser(t)
	p := s.opened(browser, "first", "?user=Ann")
	p.framedSays("I am Ann")
	p.framedSees("You: I am Ann", "Bot: You said I am Ann")
	other := s.opened(browser, "another browser", "?user=Ann")
	other.framedSees("You: I am Ann", "Bot: You said I am Ann")
	for _, query := range []string{"", "?user=Bob"} {
		p.do(chromedp.Navigate(s.base() + "/" + query))
		p.framed(isReady)
		require.Empty(t, eval[[]string](p, inFrame(shown(userLog))), "who signed out leaves nothing: %s", query)
		p.framedSays("I am not Ann")
		p.framedSees("You: I am not Ann", "Bot: You said I am not Ann")
	}
	p.do(chromedp.Navigate(s.base() + "/?user=Ann"))
	p.framed(isReady)
	p.framedSees("You: I am Ann", "Bot: You said I am Ann")
}

// TestWebchatLanguages speaks the page's language, from right to left where that is read so.
func TestWebchatLanguages(t *testing.T) {
	s, browser := startSite(t), startBrowser(t)
	for lang, c := range map[string]struct{ open, send, dir string }{
		"ar":    {"فتح المحادثة", "إرسال", "rtl"},
		"ja":    {"チャットを開く", "送信", "ltr"},
		"fr-CA": {"Ouvrir la discussion", "Envoyer", "ltr"},
	} {
		p := newTab(t, browser, lang, s.base()+"/?lang="+lang)
		require.Equal(t, c.open, eval[string](p, launcher+`.ariaLabel`))
		p.opensWidget()
		p.framed(`document.querySelector("#log")?.ariaBusy === "false"`)
		require.Equal(t, c.send, eval[string](p, inFrame(`document.querySelector("#composer [type=submit]").ariaLabel`)))
		require.Equal(t, c.dir+" "+lang[:2], eval[string](p, inFrame(`document.documentElement.dir + " " + document.documentElement.lang`)))
		left := eval[bool](p, launcher+`.getBoundingClientRect().x < 640`)
		require.Equal(t, c.dir == "rtl", left, "the button is at the end of the line")
		p.framedSays("Hello")
		p.framed(`document.querySelectorAll("#log .message").length === 3`)
		p.shoot("webchat-" + lang[:2])
	}
}
