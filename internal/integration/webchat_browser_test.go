//go:build unix

package integration

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// screenshots is where the tests write pictures of what they see. README and the guides show some of them:
//
//	go -C internal/integration test -run WebchatPictures . -screenshots ../../docs/images
var screenshots = flag.String("screenshots", "", "folder that screenshots of the webchat are written to")

// chromiumPath returns where Chromium is. Without one the test fails, unless HANDOVER_CHROMIUM=none
// says that there is none.
func chromiumPath(t *testing.T) string {
	t.Helper()
	if name := os.Getenv("HANDOVER_CHROMIUM"); name == "none" {
		t.Skip("HANDOVER_CHROMIUM=none: not tried in a browser")
	} else if name != "" {
		return name
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium: install it (apt-get install chromium), or say in HANDOVER_CHROMIUM where it is, or that there is none")
	return ""
}

// browserOf starts Chromium once for all tests, with an empty profile.
var browserOf = sync.OnceValues(func() (context.Context, error) {
	dir, err := os.MkdirTemp("", "handover-chromium")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromiumFound), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("mute-audio", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	cleanups = append(cleanups, func() {
		end()
		stop()
		os.RemoveAll(dir)
	})
	return ctx, chromedp.Do(ctx)
})

var chromiumFound string // where it is

// startBrowser returns a browser. Each tab made of the context is a person of their own.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	chromiumFound = chromiumPath(t)
	ctx, err := browserOf()
	require.NoError(t, err, "Chromium does not start")
	return ctx
}

// watching runs in each page before its own scripts: it counts the sounds, and notes what the
// page's policy forbade.
const watching = `
	window.plays = 0;
	const start = AudioScheduledSourceNode.prototype.start;
	AudioScheduledSourceNode.prototype.start = function (...when) { window.plays++; return start.apply(this, when); };
	document.addEventListener("securitypolicyviolation", (e) => console.error("policy: " + e.violatedDirective + " " + e.blockedURI));`

// tab is a page in a browser, and whoever sits before it.
type tab struct {
	t    *testing.T
	name string
	desk *tab // the agents' inbox, if this is a user's page of the example
	ctx  context.Context
	end  context.CancelFunc
	once sync.Once // that it is closed

	mu      sync.Mutex
	faults  []string // that a page may not have
	excused bool     // the network is down on purpose
}

// newTab opens a page. At the end of the test it must have seen no error in the console, no
// violation of the page's policy and no failed request.
func newTab(t *testing.T, browser context.Context, name, url string) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	p := &tab{t: t, name: name, ctx: ctx, end: end}
	t.Cleanup(p.close)
	require.NoError(t, chromedp.Listen(ctx, p.hear))
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watching})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: "en-GB"})
	require.NoError(t, err)
	p.size(1280, 800)
	p.do(chromedp.Navigate(url))
	return p
}

// close closes the page, unless that was done.
func (p *tab) close() {
	p.once.Do(func() {
		if p.t.Failed() {
			p.shoot(strings.ReplaceAll("failed-"+p.t.Name()+"-"+p.name, "/", "-"))
		}
		p.end()
		require.Empty(p.t, p.found(), "faults on the page of %s", p.name)
	})
}

// hear notes what goes wrong on the page.
func (p *tab) hear(event any) {
	fault := ""
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "assert" || e.Type == "warning" {
			words := []string{string(e.Type)}
			for _, a := range e.Args {
				words = append(words, string(a.Value), a.Description)
			}
			fault = "console: " + strings.Join(words, " ")
		}
	case *runtime.EventExceptionThrown:
		fault = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			fault += " " + e.ExceptionDetails.Exception.Description
		}
	case *page.EventJavascriptDialogOpening:
		fault = "a dialog: " + e.Message
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			fault = fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled { // a page that is left cancels its stream
			fault = fmt.Sprintf("request failed: %s (%s)", e.ErrorText, e.Type)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			fault = fmt.Sprintf("HTTP %d: %s", e.Response.Status, e.Response.URL)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if fault != "" && !p.excused {
		p.faults = append(p.faults, fault)
	}
}

// found returns the faults of the page.
func (p *tab) found() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// forgive forgets them, those to come as well.
func (p *tab) forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.excused = nil, true
}

// excuse lets the network fail while fn runs.
func (p *tab) excuse(fn func()) {
	set := func(on bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.excused = on
	}
	set(true)
	defer set(false)
	fn()
}

const patience = 30 * time.Second

// do runs actions, each of which waits for its element.
func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, steps...), "%s", p.name)
}

// eval evaluates a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, "%s: %s", p.name, expression)
	return value
}

// becomes waits until a JavaScript expression is true, or returns an error. The page itself looks, so
// that nothing happens between finding an element and using it.
func (p *tab) becomes(expression string, options ...chromedp.EvaluateOption) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`new Promise((done) => {
		const look = () => (`+expression+`) ? done(true) : setTimeout(look, 20);
		look();
	})`, append(options, chromedp.EvalAwaitPromise)...))
	return err
}

// byHand is for what only people do: browsers play no sound before.
func byHand(p *runtime.EvaluateParams) { p.UserGesture = new(true) }

// waits requires that a JavaScript expression becomes true.
func (p *tab) waits(expression string) {
	p.t.Helper()
	require.NoError(p.t, p.becomes(expression), "%s waits in vain for %s", p.name, expression)
}

// presses presses the button with that name, in the part of the page that a selector names.
func (p *tab) presses(part, name string) {
	p.t.Helper()
	p.clicks(button(part, name))
}

// button finds the button with that name that can be pressed, the last if there are several.
func button(part, name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%s)].filter((b) => (b.ariaLabel ?? b.textContent.trim()) === %s && !b.disabled && b.checkVisibility()).at(-1)`,
		quoted(part+" button"), quoted(name))
}

// clicks clicks the element that an expression finds, once it is there, can be used, and nothing
// covers it. That is one step, since a log moves when a message comes.
func (p *tab) clicks(find string) {
	p.t.Helper()
	require.NoError(p.t, p.becomes(`((e) => {
		if (!e || e.disabled || !e.checkVisibility()) return false;
		e.scrollIntoView({block: "nearest"});
		const at = e.getBoundingClientRect();
		if (!e.contains(document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2))) return false;
		e.focus();
		e.click();
		return true;
	})(`+find+`)`, byHand), "%s clicks in vain on %s", p.name, find)
}

// types types into a field, and presses Enter if the text ends in "\r".
func (p *tab) types(field, text string) {
	p.t.Helper()
	text, enter := strings.CutSuffix(text, "\r")
	p.do(chromedp.Click(chromedp.CSS(field), chromedp.NodeVisible), chromedp.SendKeys(chromedp.CSS(field), text))
	if enter {
		p.enter()
	}
}

// enter presses the Enter key. It is one event with its text, as from a keyboard: a page that takes
// the key gets no line break as well.
func (p *tab) enter() {
	p.t.Helper()
	key := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "Enter", Code: "Enter", Text: "\r", NativeVirtualKeyCode: 13, WindowsVirtualKeyCode: 13}
	_, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, key)
	require.NoError(p.t, err)
	key.Type, key.Text = input.DispatchKeyEventTypeKeyUp, ""
	_, err = chromedp.Call(p.ctx, input.DispatchKeyEvent, key)
	require.NoError(p.t, err)
}

// summary is a function that says in one line what an element of a log shows.
const summary = `(li) => {
	const words = [...li.querySelectorAll(":scope .text, :scope .chosen, :scope .replies > li")].map((e) => e.textContent);
	const pictures = [...li.querySelectorAll(".bubble img, audio, video")].map((e) => "<" + e.tagName.toLowerCase() + " " + (e.alt || e.ariaLabel || "") + ">");
	const buttons = [...li.querySelectorAll(".replies button:not(:disabled), .replies a")].map((b) => "[" + b.textContent + "]");
	const marks = [...li.querySelectorAll(".by i")].map((i) => "{" + i.textContent + "}");
	const who = li.classList.contains("notice") ? "-" : li.querySelector(".by b").textContent + (li.querySelector(".by span") ? " (" + li.querySelector(".by span").textContent + ")" : "") + ":";
	return [who, ...words, ...pictures, ...buttons, ...marks].join(" ");
}`

// shown is what a log shows, one line a message, but for the greeting, which each begins with.
func shown(log string) string {
	return "[...document.querySelectorAll(" + quoted(log+" > ol > li") + ")].map(" + summary + ").filter((line) => !line.startsWith(" + quoted(greeting) + "))"
}

// of is the page that has the log.
func (p *tab) of(log string) *tab {
	if log == agentLog && p.desk != nil {
		return p.desk
	}
	return p
}

func (p *tab) lines(log string) []string {
	p.t.Helper()
	p = p.of(log)
	return eval[[]string](p, shown(log))
}

// sees waits until a log shows exactly these lines.
func (p *tab) sees(log string, want ...string) {
	p.t.Helper()
	p = p.of(log)
	lines, err := json.Marshal(want)
	require.NoError(p.t, err)
	if p.becomes("JSON.stringify("+shown(log)+") === JSON.stringify("+string(lines)+")") != nil {
		require.Equal(p.t, want, p.lines(log), "%s", p.name)
	}
}

// size sets the window's size.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5)))
}

// dark chooses the dark or the light colours.
func (p *tab) dark(on bool) {
	p.t.Helper()
	value := map[bool]string{true: "dark", false: "light"}[on]
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}},
	})
	require.NoError(p.t, err)
}

// prints shows the page as it would be printed, from a dark screen.
func (p *tab) prints() {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	require.NoError(p.t, err)
}

// shoot writes a screenshot, if the flag says where to.
func (p *tab) shoot(name string) {
	if *screenshots == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(p.t, err)
	require.NoError(p.t, os.MkdirAll(*screenshots, 0o755))
	require.NoError(p.t, os.WriteFile(filepath.Join(*screenshots, name+".png"), picture, 0o644))
}

// quoted makes a JavaScript string.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
