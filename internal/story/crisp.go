package story

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover/handovertest"
)

// What is wrong with Crisp stays so until a time has passed, or until Crisp is well again.
var crispVerbs = []verb{
	{"Crisp is well again", func(w *world, _ []string) { w.troubles.heal() }},
	{"Crisp is down[ for <time>]", func(w *world, a []string) {
		w.troubles.add("", handovertest.Fault{Status: http.StatusServiceUnavailable}, a[0])
	}},
	{"Crisp answers <number> to <text> for <time>", func(w *world, a []string) { w.answers(a[0], a[1], a[2]) }},
	{"Crisp answers <number> to <text>", func(w *world, a []string) { w.answers(a[0], a[1], "") }},
	{"Crisp asks to be left alone for <time>", func(w *world, a []string) { w.troubles.add("", busy(a[0]), a[0]) }},
	{"Crisp asks not to be read for <time>", func(w *world, a []string) { w.troubles.add("GET", busy(a[0]), a[0]) }},
	{"Crisp only seems to take <text> for <time>", func(w *world, a []string) {
		w.troubles.add(w.route(a[0]), handovertest.Fault{Status: http.StatusOK, Body: handovertest.BodyError}, a[1])
	}},
	{"Crisp carries out <text> without an answer[ for <time>]", func(w *world, a []string) {
		w.troubles.add(w.route(a[0]), handovertest.Fault{CutAfter: true}, a[1])
	}},
	{"Crisp takes <time> for <text>", func(w *world, a []string) {
		w.troubles.add(w.route(a[1]), handovertest.Fault{Delay: duration(a[0])}, "")
	}},
	{"Crisp's log lags by <time>", func(w *world, a []string) {
		w.troubles.add(handovertest.RouteMessages, handovertest.Fault{Stale: duration(a[0])}, "")
	}},
	{"Crisp's state lags by <time>", func(w *world, a []string) {
		w.troubles.add(handovertest.RouteConversation, handovertest.Fault{Stale: duration(a[0])}, "")
	}},

	{"hooks are held back", func(w *world, _ []string) { w.held = w.conversation().HoldHooks() }},
	{"the hooks that were held back come", func(w *world, _ []string) { w.held.Release() }},
	{"hooks[ of <text>] get lost", func(w *world, a []string) { w.troubles.hook(a[0], handovertest.HookFault{Drop: true}) }},
	{"hooks[ of <text>] come twice", func(w *world, a []string) { w.troubles.hook(a[0], handovertest.HookFault{Twice: true}) }},
	{"hooks[ of <text>] come <time> late", func(w *world, a []string) {
		w.troubles.hook(a[0], handovertest.HookFault{Delay: duration(a[1])})
	}},
	{"hooks[ of <text>] overtake each other", func(w *world, a []string) { w.troubles.hook(a[0], handovertest.HookFault{Swap: true}) }},

	{"Crisp shows:", func(w *world, _ []string) { w.show(shows(w.crisp.Conversations())...) }},
	{"Crisp knows of the user:", func(w *world, _ []string) { w.show(knows(w.conversation().Meta())...) }},
	{"Crisp mailed:", func(w *world, _ []string) {
		var lines []string
		for _, m := range w.crisp.Mails() {
			lines = append(lines, "to "+m.To+": "+fold(m.Text))
		}
		w.show(lines...)
	}},
	{"Crisp asked for a rating:", func(w *world, _ []string) { w.show(fmt.Sprintf("%d times", w.conversation().FeedbackAsked())) }},
	{"Crisp heard of typing:", func(w *world, _ []string) {
		w.show(fmt.Sprintf("%d times", w.conversation().CountCalls(handovertest.RouteCompose)))
	}},
}

// routes are Crisp's calls, by what they are for.
var routes = map[string]string{
	"everything":        "",
	"writing":           "POST",
	"changing":          "PATCH",
	"reading":           "GET",
	"presence":          handovertest.RouteAvailability,
	"opening":           handovertest.RouteCreate,
	"user data":         handovertest.RoutePatchMeta,
	"messages":          handovertest.RouteSend,
	"reading the log":   handovertest.RouteMessages,
	"reading the state": handovertest.RouteConversation,
	"listing":           handovertest.RouteList,
	"inboxes":           handovertest.RoutePatchInbox,
	"assigning":         handovertest.RoutePatchRouting,
	"changing states":   handovertest.RoutePatchState,
	"answered pickers":  handovertest.RouteEdit,
}

func (w *world) route(name string) string {
	route, found := routes[name]
	if !found {
		w.t.Fatalf("there are no calls for %q, but for %s", name, strings.Join(slices.Sorted(maps.Keys(routes)), ", "))
	}
	return route
}

// busy is the answer of a Crisp that wants to be left alone for a <time>.
func busy(wait string) handovertest.Fault {
	return handovertest.Fault{Status: http.StatusTooManyRequests, RetryAfter: duration(wait)}
}

func (w *world) answers(status, route, for_ string) {
	f := handovertest.Fault{Status: number(status)}
	if f.Status == http.StatusForbidden {
		f.Reason = "not_allowed"
	}
	w.troubles.add(w.route(route), f, for_)
}

// troubles are what is wrong with Crisp.
type troubles struct {
	mu    sync.Mutex
	calls []trouble
	hooks map[string]handovertest.HookFault // by event; "" for all
}

// trouble is what is wrong with some calls.
type trouble struct {
	route string // or a method, or "" for all
	fault handovertest.Fault
	until time.Time // zero: for good
}

// add adds a trouble with calls, for a <time> or for good.
func (t *troubles) add(route string, f handovertest.Fault, for_ string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := trouble{route: route, fault: f}
	if for_ != "" {
		one.until = time.Now().Add(duration(for_))
	}
	t.calls = append(t.calls, one)
}

// hook adds a trouble with the hooks of an event.
func (t *troubles) hook(event string, f handovertest.HookFault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hooks == nil {
		t.hooks = map[string]handovertest.HookFault{}
	}
	all := t.hooks[event]
	all.Drop, all.Twice, all.Swap = all.Drop || f.Drop, all.Twice || f.Twice, all.Swap || f.Swap
	all.Delay = max(all.Delay, f.Delay)
	t.hooks[event] = all
}

func (t *troubles) heal() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls, t.hooks = nil, nil
}

// ofCall is what goes wrong with a call.
func (t *troubles) ofCall(c handovertest.CallInfo) handovertest.Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.calls {
		fits := one.route == "" || one.route == c.Route || one.route == c.Method
		if fits && (one.until.IsZero() || time.Now().Before(one.until)) {
			return one.fault
		}
	}
	return handovertest.Fault{}
}

// ofHook is what goes wrong with a hook.
func (t *troubles) ofHook(h handovertest.HookInfo) handovertest.HookFault {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f, found := t.hooks[h.Event]; found {
		return f
	}
	return t.hooks[""]
}

// shows is what agents see: each conversation with its state, and its messages.
func shows(all []*handovertest.Conversation) (lines []string) {
	for _, c := range all {
		head := []string{fmt.Sprintf("conversation %d", c.Number()+1), c.State()}
		if name := c.Assigned(); name != "" {
			head = append(head, "assigned to "+name)
		}
		if c.Blocked() {
			head = append(head, "blocked")
		}
		if c.Removed() {
			head = append(head, "removed")
		}
		lines = append(lines, "("+strings.Join(head, ", ")+")")
		for i, line := range c.Transcript() {
			lines = append(lines, fold(line+choices(c.Messages()[i])))
		}
	}
	return lines
}

// choices are those of a picker, the chosen one marked, or what was written into a field.
func choices(m handovertest.Message) string {
	content, _ := m.Content.(map[string]any)
	all, _ := content["choices"].([]any)
	var line string
	for _, one := range all {
		choice, _ := one.(map[string]any)
		line += fmt.Sprintf(" [%v", choice["label"])
		if choice["selected"] == true {
			line += ": chosen"
		}
		line += "]"
	}
	if value, _ := content["value"].(string); value != "" {
		line += " [" + value + "]"
	}
	return line
}

// knows is what Crisp knows of the user.
func knows(m handovertest.Meta) (lines []string) {
	for _, one := range [][2]string{
		{"name", m.Nickname}, {"email", m.Email}, {"phone", m.Phone}, {"segments", strings.Join(m.Segments, ", ")},
	} {
		if one[1] != "" {
			lines = append(lines, one[0]+": "+one[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Data)) {
		lines = append(lines, fmt.Sprintf("%s = %v", name, m.Data[name]))
	}
	return lines
}
