//go:build unix

package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/admin"
	"github.com/crisphandover/handover/handovertest"
)

// crowd is a bot with many conversations, of which the channel of one is down.
type crowd struct {
	h     *handover.Handover
	crisp *handovertest.Crisp
	down  atomic.Bool
	stuck handover.Conversation
}

// newCrowd makes n conversations: most of them muted, some with agents or waiting for one, and one that is stuck.
func newCrowd(t *testing.T, n int) *crowd {
	c := &crowd{crisp: handovertest.NewCrisp(t, handovertest.Options{})}
	config := c.crisp.Config()
	config.Deliver = func(_ context.Context, s handover.Session, _ handover.Message) (string, error) {
		if c.down.Load() && s.Conversation == c.stuck {
			return "", errors.New("the channel is down")
		}
		return "", nil
	}
	var err error
	c.h, err = handover.New(config)
	require.NoError(t, err)
	c.crisp.Run(c.h)

	begin := func(i int) (conv handover.Conversation, turn handover.Turn) {
		conv = handover.Conversation{Source: []string{"webchat", "telegram", "whatsapp"}[i%3], ID: fmt.Sprintf("visitor-%04d", i)}
		s, err := c.h.Session(t.Context(), conv)
		require.NoError(t, err)
		return conv, s.Turn()
	}
	start := func(i int) (handover.Conversation, *handovertest.Conversation) {
		conv, turn := begin(i)
		outcome, err := c.h.Start(t.Context(), turn, handover.Request{})
		require.NoError(t, err)
		require.Equal(t, handover.OutcomeOpened, outcome)
		return conv, c.crisp.Last()
	}
	for i := range n {
		switch {
		case i == n*7/10:
			conv, inCrisp := start(i)
			inCrisp.Operator("Ann").Say("Hello")
			c.crisp.Settle()
			c.stuck = conv
			c.down.Store(true)
			inCrisp.Operator("Ann").Say("Are you there?")
		case i < 16 && i%2 == 0:
			if _, inCrisp := start(i); i%4 == 0 {
				inCrisp.Operator("Ann").Say("Hello")
			}
		default:
			_, turn := begin(i)
			require.NoError(t, c.h.Mute(t.Context(), turn))
		}
	}
	c.crisp.Settle()
	require.Eventually(t, func() bool { return c.condition(t) == handover.ConditionFailing }, patience, 10*time.Millisecond)
	return c
}

// condition is that of the conversation that is stuck at first.
func (c *crowd) condition(t *testing.T) handover.Condition {
	s, err := c.h.Status(t.Context(), c.stuck)
	require.NoError(t, err)
	return s.Condition
}

// TestAdminInABrowser looks for the one conversation of a thousand that is stuck, mends its channel, and has it tried
// again, on a desk and on a phone.
func TestAdminInABrowser(t *testing.T) {
	browser, axe := startBrowser(t), axeSource(t)
	c := newCrowd(t, 1000)
	mux := http.NewServeMux()
	mux.Handle("/admin/", admin.New(c.h, admin.Options{}))
	server := httptest.NewServer(mux)
	defer server.Close()

	p := newTab(t, browser, "operator", server.URL+"/admin/")
	const attention, first = `document.querySelector("#attention")`, `document.querySelector("section.alarm .rows a")`
	p.arrives(attention + `?.textContent === "1 needs attention"`)
	require.Equal(t, 51, eval[int](p, `document.querySelectorAll(".rows a").length`), "the stuck one, and a page of fifty")
	p.looks(axe, "list", false)
	p.size(1100, 640)
	p.shoot("admin")

	p.size(390, 740)
	p.leaves(first) // one click, on a phone
	p.arrives(`document.querySelector("h1").textContent === ` + quoted(c.stuck.ID))
	require.True(t, eval[bool](p, `document.querySelector("#status").textContent === "Failing"`))
	require.True(t, eval[bool](p, `document.querySelector("#waits + ol").textContent.includes("an agent's message to the user")`))
	p.looks(axe, "stuck", true)
	p.size(390, 740)
	p.shoot("admin-phone")

	c.down.Store(false)
	p.leaves(button("form[action=retry]", "Retry now")) // the second
	p.arrives(`document.querySelector("[role=status]")?.textContent.includes("tried again now")`)
	require.Eventually(t, func() bool { return c.condition(t) == handover.ConditionWell }, patience, 10*time.Millisecond)
	p.leaves(`document.querySelector("header a")`)
	p.arrives(attention + `?.textContent === "Nothing needs attention"`)

	// Page by page, and by the filter.
	p.leaves(`document.querySelector("a.button")`)
	p.arrives(`!` + attention + ` && document.querySelectorAll(".rows a").length === 50`)
	eval[bool](p, `(document.querySelector("select[name=state]").value = "active", true)`)
	p.leaves(button("form.filter", "Show"))
	p.arrives(`location.search.includes("state=active") && document.querySelectorAll("#rows + .rows a").length === 5`)
	p.leaves(`document.querySelector("#rows + .rows a")`)

	// And it is ended.
	p.arrives(`document.querySelector("summary")`)
	p.clicks(`document.querySelector("summary")`)
	p.leaves(button("form[action=end]", "End it"))
	p.arrives(`document.querySelector("[role=status]")?.textContent.includes("The end is asked for")`)
}

// looks has axe look at the page on a desk and on a phone, the one in dark and the other in light colours.
func (p *tab) looks(axe, what string, darkDesk bool) {
	p.t.Helper()
	for _, desk := range []bool{!darkDesk, darkDesk} {
		p.size(390, 740)
		if desk {
			p.size(1280, 860)
		}
		p.dark(desk == darkDesk)
		p.requireAccessible(axe, fmt.Sprintf("%s, desk %t, dark %t", what, desk, desk == darkDesk))
	}
	p.dark(false)
}

// leaves clicks what leads to another page. It has returned before that page comes, which ends what is evaluated.
func (p *tab) leaves(find string) {
	p.t.Helper()
	p.waits(`((e) => e && e.checkVisibility() && (setTimeout(() => e.click()), true))(` + find + `)`)
}

// arrives requires that an expression becomes true on a page that is still to come.
func (p *tab) arrives(expression string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](`!!(`+expression+`)`))
		return err == nil && ok
	}, patience, 20*time.Millisecond, "%s waits in vain for %s", p.name, expression)
}
