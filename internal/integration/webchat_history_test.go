//go:build unix

package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// historyTalk is a conversation with all that makes a page hard to lay out.
func historyTalk(base string) []handover.Message {
	summer, winter := time.Date(2026, 7, 1, 2, 30, 0, 0, time.UTC), time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC)
	choices := handover.TextMessage("Which one?")
	for _, title := range []string{"The red one", "The blue one", strings.Repeat("long ", 30), strings.Repeat("x", 120)} {
		choices.QuickReplies = append(choices.QuickReplies, handover.QuickReply{ContentType: "text", Title: title, Payload: title})
	}
	picture := handover.RichMessage{Attachment: &handover.Attachment{Type: "image", Payload: handover.AttachmentPayload{URL: base + "/bike.png"}}}
	return []handover.Message{
		{From: handover.FromUser, Content: handover.TextMessage("שלום, האם האופניים שלי מוכנים? ABC 123."), At: summer},
		{From: handover.FromBot, Content: choices, At: winter},
		{From: handover.FromUser, Content: handover.TextMessage("The blue one"), At: winter},
		{From: handover.FromUser, Content: picture, File: &handover.File{URL: base + "/bike.png", Name: "bike.png", MIMEType: "image/png"}, At: winter},
		{From: handover.FromAgent, Agent: handover.Agent{Name: "Ann " + strings.Repeat("n", 80)}, Content: handover.TextMessage(strings.Repeat("All of this has to fit. ", 400)), At: winter},
		{From: handover.FromUser, Content: handover.TextMessage("https://bikes.example/" + strings.Repeat("y", 300)), At: winter},
		{From: handover.FromSystem, Content: handover.TextMessage("Ann joined the conversation."), At: winter},
	}
}

// historyServer serves the history page as a host does, with or without user data above it, and with that many messages
// before the talk. Its links go to that page; the expired one is as good as the other, but of the year 2000. pictures
// counts how often the server was asked for one.
func historyServer(t *testing.T, withHead bool, before int) (link, expired string, pictures *atomic.Int64) {
	t.Helper()
	pictures = new(atomic.Int64)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	id, key := crisp.Token()
	config := handover.Config{
		WebsiteID: crisp.WebsiteID(), Token: handover.Token{Tier: handover.Tier(crisp.Tier()), Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		BaseURL: crisp.URL(), HTTPClient: crisp.Client(),
		Deliver: func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil },
		History: handover.History{URL: server.URL + "/history", SigningKey: handover.NewSecret(strings.Repeat("k", 32))},
		Transcript: func(context.Context, handover.Conversation) ([]handover.Message, error) {
			var all []handover.Message
			for i := range before {
				all = append(all, handover.Message{From: handover.FromBot, Content: handover.TextMessage(fmt.Sprintf("Message %d", i+1))})
			}
			return append(all, historyTalk(server.URL)...), nil
		},
	}
	if withHead {
		config.HistoryHead = func(context.Context, handover.Conversation) ([]handover.HistoryField, error) {
			return []handover.HistoryField{{Name: "Reason", Value: "Order 42 is late"}, {Name: "Name", Value: "Anakin \u202eSkywalker"}, {Name: "Email", Value: "anakin@example.com"},
				{Name: strings.Repeat("k", 100), Value: strings.Repeat("v", 300)}}, nil
		}
	}
	links := func() string {
		h, err := handover.New(config)
		require.NoError(t, err)
		link, err := h.HistoryLink(handover.Conversation{Source: "webchat", ID: "1"})
		require.NoError(t, err)
		return link
	}
	synctest.Test(t, func(*testing.T) { expired = links() }) // time begins in 2000 there
	h, err := handover.New(config)
	require.NoError(t, err)
	mux.Handle("/history", h.HistoryHandler())
	mux.HandleFunc("/bike.png", func(w http.ResponseWriter, _ *http.Request) {
		pictures.Add(1)
		_, _ = w.Write(bike)
	})
	return links(), expired, pictures
}

// follows opens the page that a link leads to, and waits until it is there.
func (p *tab) follows(link string) {
	p.t.Helper()
	p.do(chromedp.Navigate(eval[string](p, "document.querySelector("+quoted(link)+").href")))
}

// TestWebchatHistoryPage reads the page that agents are sent to, on several screens and on paper.
func TestWebchatHistoryPage(t *testing.T) {
	axe, browser := axeSource(t), startBrowser(t)
	link, expired, pictures := historyServer(t, false, 0)

	// Times are the reader's. The page's policy lets in the one script that turns them.
	const times = `[...document.querySelectorAll("time")].slice(0, 2).map((t) => t.textContent)`
	for zone, want := range map[string][]string{
		"America/New_York": {"30 Jun 2026, 22:30", "31 Dec 2026, 18:30"},
		"Asia/Kolkata":     {"1 Jul 2026, 08:00", "1 Jan 2027, 05:00"},
	} {
		p := newTab(t, browser, zone, "about:blank")
		_, err := chromedp.Call(p.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
		require.NoError(t, err)
		p.do(chromedp.Navigate(link))
		require.Equal(t, want, eval[[]string](p, times))
		require.Equal(t, "31 Dec 2026, 23:30 UTC", eval[string](p, `document.querySelectorAll("time")[1].title`))
	}

	p := newTab(t, browser, "history", link)
	require.Equal(t, "Conversation: \u2068webchat 1\u2069", eval[string](p, "document.title"))
	require.Equal(t, "Conversation: webchat 1", eval[string](p, `document.querySelector("h1").textContent`))
	require.Zero(t, eval[int](p, `document.querySelectorAll("img").length`))
	require.Equal(t, "https://bikes.example/"+strings.Repeat("y", 300), eval[string](p, `document.querySelector(".text a.web").href`))
	require.Equal(t, "noopener noreferrer nofollow", eval[string](p, `document.querySelector(".text a.web").rel`))
	p.requireAccessible(axe, "history without its pictures")

	// Nobody hears that it is read, until the reader wants to see a picture.
	require.Zero(t, pictures.Load())
	p.follows("li a.load")
	p.waits(`document.querySelector("main img")?.naturalWidth > 0 && location.hash === "#m4"`)
	require.EqualValues(t, 1, pictures.Load())
	require.Equal(t, []string{"User", "Bot", "User", "User", "Ann " + strings.Repeat("n", 80) + " (agent)", "User", "System"},
		eval[[]string](p, `[...document.querySelectorAll(".by b")].map((b) => b.textContent)`))
	require.Equal(t, []string{"rtl", "ltr"}, eval[[]string](p, `[...document.querySelectorAll("main .text")].slice(0, 2).map((e) => getComputedStyle(e).direction)`))
	require.Equal(t, []string{"The red one", "The blue one"}, eval[[]string](p, `[...document.querySelectorAll(".choices li")].slice(0, 2).map((e) => e.textContent)`))
	require.Zero(t, eval[int](p, `document.querySelectorAll("dl").length`), "user data only when the host asks for it")
	for _, width := range []int64{860, 320} {
		p.size(width, 812)
		require.Equal(t, int(width), eval[int](p, "document.documentElement.scrollWidth"), "nothing is cut")
		require.Zero(t, eval[int](p, `[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth).length`))
		p.requireAccessible(axe, "history of long texts")
		p.shoot("history-long-" + map[int64]string{860: "desktop", 320: "phone"}[width])
	}

	// On paper there are no dark colours, and a link's address can be read.
	p.size(860, 812)
	p.prints()
	require.Equal(t, "rgb(255, 255, 255)", eval[string](p, "getComputedStyle(document.body).backgroundColor"))
	require.Equal(t, []string{"rgb(255, 255, 255)"}, eval[[]string](p, `[...new Set([...document.querySelectorAll(".user, .bot, .agent")].map((e) => getComputedStyle(e).backgroundColor))]`))
	p.shoot("history-print")

	// User data and the reason stand above it, if the host asks for that.
	head, _, _ := historyServer(t, true, 0)
	p = newTab(t, browser, "history with user data", head)
	p.size(320, 812)
	p.waits(`document.querySelector("dl ~ ol")`)
	require.Equal(t, []string{"Reason: Order 42 is late", "Name: Anakin \u202eSkywalker", "Email: anakin@example.com"},
		eval[[]string](p, `[...document.querySelectorAll("dt")].slice(0, 3).map((e) => e.textContent + ": " + e.nextElementSibling.textContent)`))
	require.Equal(t, "Conversation: \u2068Anakin Skywalker\u2069", eval[string](p, "document.title"))
	require.Equal(t, 320, eval[int](p, "document.documentElement.scrollWidth"))
	p.requireAccessible(axe, "history with user data")
	p.shoot("history-head")

	// A long one has pages, the newest first.
	long, _, _ := historyServer(t, false, 130)
	p = newTab(t, browser, "history in pages", long)
	p.size(320, 812)
	const texts = `[...document.querySelectorAll("main .text")].map((e) => e.textContent)`
	p.waits(`document.querySelector("nav")`)
	require.Equal(t, "Message 38", eval[[]string](p, texts)[0])
	require.Equal(t, []string{"Messages 38 to 137 of 137", "Messages 38 to 137 of 137"}, eval[[]string](p, `[...document.querySelectorAll("nav span")].map((e) => e.textContent)`))
	p.requireAccessible(axe, "history in pages")
	p.shoot("history-pages")
	p.follows("nav a[rel=prev]")
	require.Equal(t, "Message 1", eval[[]string](p, texts)[0])
	require.Len(t, eval[[]string](p, texts), 37)
	p.follows("nav a[rel=next]")
	require.Equal(t, "Message 38", eval[[]string](p, texts)[0])

	// Links that open nothing say so.
	for name, c := range map[string]struct{ link, says string }{
		"expired": {expired, "This link has expired.\n\nLinks open for a limited time. Each handover brings a new one."},
		"wrong":   {link + "A", "This link does not lead anywhere.\n\nCheck that it was copied whole."},
	} {
		p := newTab(t, browser, name, "about:blank")
		p.excuse(func() { // its status is 410 or 404
			p.do(chromedp.Navigate(c.link))
			p.waits(`document.querySelector("h1")`)
		})
		require.Equal(t, c.says, eval[string](p, `document.querySelector("main").innerText`))
		require.Zero(t, eval[int](p, `document.querySelectorAll("ol, dl").length`))
		p.shoot("history-" + name)
	}
}
