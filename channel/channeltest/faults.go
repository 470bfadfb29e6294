package channeltest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

// meant is what an error means to the engine.
func meant(err error) string {
	var wait interface{ RetryAfter() time.Duration }
	switch {
	case err == nil:
		return "shown"
	case errors.Is(err, handover.ErrUserAway):
		return "away"
	case errors.Is(err, errors.ErrUnsupported):
		return "unsupported"
	case errors.As(err, &wait):
		return "not before " + wait.RetryAfter().String()
	}
	return "again"
}

func (r *run) refusals() {
	for refusal, want := range map[Refusal]string{Down: "again", Busy: "not before 7s", Away: "away", Format: "unsupported"} {
		if slices.Contains(r.Without, refusal) {
			continue
		}
		r.Run(refusal.String(), func(t *testing.T) {
			r := *r
			r.T = t
			m := r.text("refused: " + refusal.String())
			m.ID = "refusals/" + refusal.String()
			times := 1
			if refusal == Format {
				times = 8 // the channel may try something simpler
			}
			r.Platform.Fail(refusal, 0, times)
			_, err := r.deliver(r.Channel, m)
			if got := meant(err); got != want {
				t.Fatalf("Deliver means %q, not %q: %v", got, want, err)
			}
			r.Platform.Mend()
			r.shows(m)
			r.count("refused: "+refusal.String(), 1)

			r.Platform.Fail(refusal, 0, times)
			err = r.Channel.Send(t.Context(), r.Conversation, handover.TextMessage("the bot is refused"))
			r.check(err)
			if got := meant(err); got != want {
				t.Fatalf("Send means %q, not %q: %v", got, want, err)
			}
			r.Platform.Mend()
		})
	}
}

func (r *run) format() {
	if slices.Contains(r.Without, Format) {
		r.Skip("the platform takes everything")
	}
	r.Platform.Fail(Format, 0, 1)
	m := r.text("**Hello** & welcome")
	if _, err := r.deliver(r.Channel, m); errors.Is(err, errors.ErrUnsupported) { // the engine tries again, in plain words
		m.Content = handover.TextMessage("Hello & welcome")
		r.shows(m)
	} else if err != nil {
		r.Fatalf("Deliver: %v", err)
	}
	r.inOrder("Hello & welcome")
	r.count("welcome", 1)
}

// hostileTexts are what an agent, a user or a name may be.
var hostileTexts = map[string]string{
	"HTML":      `<b>bold</b> <script>alert("x")</script> &lt; &amp; </a> <a href="javascript:x">y</a>`,
	"marks":     "*a _b ~c `d [e](f) **g __h ~~i ```j <k|l> <!channel> <@U1> #m @everyone \\",
	"direction": "safe \u202Egnp.exe\u202C \u2066x\u2069 \u200Fשלום",
	"control":   "a\x00b\x1b[31mc\x07d\r\ne\rf\u0085g\u2028h\u2029i\tj",
	"not UTF-8": "a\xff\xfeb\xc3",
	"emoji":     strings.Repeat("👩‍👩‍👧‍👦🇫🇷👍🏽", 200),
	"accents":   "a" + strings.Repeat("\u0301", 3000) + "b",
	"no spaces": strings.Repeat("x", 20_000),
	"long":      strings.Repeat("word & <word> ", 20_000/14),
	"newlines":  strings.Repeat("\n", 5000) + "end" + strings.Repeat("\n", 5000),
	"code":      "```\n" + strings.Repeat("if a < b && c > d { x[i]++ }\n", 400) + "```",
	"bold":      "**" + strings.TrimSpace(strings.Repeat("bold ", 3000)) + "**",
	"links":     strings.Repeat("[label](https://shop.example/a?b=1&c=2) ", 500),
	"long link": "[label](https://shop.example/" + strings.Repeat("a", 1900) + ")",
}

func (r *run) hostile() {
	for name, text := range hostileTexts {
		r.Run(name, func(t *testing.T) {
			r := *r
			r.T = t
			before := len(r.Platform.Seen())
			m := r.text(text)
			m.ID, m.Agent.Name = "hostile/"+name, "An\u202En\n*<b>"+strings.Repeat("!", 40)
			r.shows(m)
			m.ID, m.From = m.ID+"/system", handover.FromSystem
			r.shows(m)
			m.ID, m.Content = m.ID+"/choices", handover.RichMessage{Text: "Which?", QuickReplies: []handover.QuickReply{
				{ContentType: handover.ReplyText, Title: "1 " + text[:min(len(text), 200)], Payload: "a"}, {ContentType: handover.ReplyText, Title: "Other", Payload: "b"}}}
			r.shows(m)
			for _, s := range r.Platform.Seen()[before:] {
				for _, c := range s.Text + s.Raw {
					if unicode.IsControl(c) && c != '\n' && c != '\t' || c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069 {
						t.Fatalf("%q is shown", c)
					}
				}
			}
		})
	}
	r.Run("of the user", func(t *testing.T) {
		r := *r
		r.T = t
		for name, text := range hostileTexts {
			if name == "not UTF-8" || name == "control" {
				continue // no platform lets a user write it
			}
			text = strings.TrimSpace(text)
			text = strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), 4000)], ""))
			r.Platform.Write(text)
			if in := r.took(""); in.Text != text {
				t.Fatalf("%s: the user wrote %q, and it came as %q", name, text, in.Text)
			}
		}
	})
}

func (r *run) writes() {
	ids := map[string]bool{}
	for _, text := range []string{"hello", "<b>&amp;", "2", "hello"} {
		r.Platform.Write(text)
		in := r.took("")
		switch {
		case in.Text != text:
			r.Fatalf("the user wrote %q, and it came as %q", text, in.Text)
		case ids[in.ID]:
			r.Fatal("two messages have one id")
		case in.Edits != "":
			r.Fatal("it is no edit")
		}
		ids[in.ID] = true
	}
	if all, err := r.Take(r.Context()); err != nil || len(all) > 0 {
		r.Fatalf("nothing was written, and %d messages come: %v", len(all), err)
	}
}

func (r *run) typing() {
	typed, counts := r.Platform.(interface{ Typing() int })
	r.Channel.Typing(r.Context(), r.session(), handover.AgentTyping{Agent: handover.Agent{Name: "Ann"}, On: true})
	if r.can.Typing && counts && typed.Typing() != 1 {
		r.Fatalf("typing is shown %d times, not once", typed.Typing())
	}
	r.Channel.Typing(r.Context(), r.session(), handover.AgentTyping{Agent: handover.Agent{Name: "Ann"}})
	if n := len(r.Platform.Seen()); n > 0 {
		r.Fatal("typing is no message")
	}
}

func (r *run) ended() {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	m := r.text("given up")
	_, err := r.Channel.Deliver(ctx, r.session(), m)
	r.check(err)
	if err != nil && meant(err) != "again" {
		r.Fatalf("a call whose context has ended means %q: %v", meant(err), err)
	}
	r.shows(m)
	r.count("given up", 1)
}

// Sent is a channel.Sent that can fail.
type Sent struct {
	channel.Memory
	fails atomic.Bool
}

// Fail has it fail, or no longer.
func (s *Sent) Fail(on bool) { s.fails.Store(on) }

var errSent = errors.New("channeltest: the memory fails")

// Recall implements channel.Sent.
func (s *Sent) Recall(ctx context.Context, key string) (string, bool, error) {
	if s.fails.Load() {
		return "", false, errSent
	}
	return s.Memory.Recall(ctx, key)
}

// Keep implements channel.Sent.
func (s *Sent) Keep(ctx context.Context, key, value string) error {
	if s.fails.Load() {
		return errSent
	}
	return s.Memory.Keep(ctx, key, value)
}

// forgets has no button shown whose payload is not kept: it would mean nothing, for ever.
func (r *run) forgets() {
	if r.Sent == nil {
		r.Skip("the channel remembers nothing in a Sent")
	}
	payload := strings.Repeat("payload ", 500)
	m := handover.RichMessage{Text: "Pay?", QuickReplies: []handover.QuickReply{{ContentType: handover.ReplyText, Title: "Yes", Payload: payload}}}
	r.Sent.Fail(true)
	err := r.Channel.Send(r.Context(), r.Conversation, m)
	r.check(err)
	if got := meant(err); got != "again" {
		r.Fatalf("a message whose button cannot be remembered means %q: %v", got, err)
	}
	r.count("Pay?", 0)
	r.Sent.Fail(false)
	if err := r.Channel.Send(r.Context(), r.Conversation, m); err != nil {
		r.Fatalf("Send: %v", err)
	}
	for _, s := range r.Platform.Seen() {
		for _, b := range s.Buttons {
			r.Platform.Press(b.Title)
			r.took(payload)
		}
	}
}

// choosesMeanwhile has a user choose while the memory fails, which has what the choice means. It comes once the memory is
// back, and not as a message without its payload.
func (r *run) choosesMeanwhile() {
	if r.Sent == nil || r.Serve == nil {
		r.Skip("the Subject has no Sent or no Serve")
	}
	synctest.Test(r.T, func(t *testing.T) {
		s := r.start(t)
		var mu sync.Mutex
		var took []handover.Incoming
		s.Serve(t.Context(), func(_ context.Context, m handover.Incoming) error {
			mu.Lock()
			defer mu.Unlock()
			took = append(took, m)
			return nil
		})
		all := replies("Yes", "No")
		all[0].Payload = strings.Repeat("payload ", 40)
		if err := s.Channel.Send(t.Context(), s.Conversation, handover.RichMessage{Text: "Pay?", QuickReplies: all}); err != nil {
			t.Fatalf("Send: %v", err)
		}
		s.Sent.Fail(true)
		if seen := s.Platform.Seen(); len(seen[len(seen)-1].Buttons) > 0 {
			go s.Platform.Press("Yes")
		} else {
			go s.Platform.Write("1")
		}
		time.Sleep(10 * time.Second)
		s.Sent.Fail(false)
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(took) != 1 || took[0].Payload != all[0].Payload {
			t.Errorf("a choice that the user made while the memory failed does not come once, with its payload: %+v", took)
		}
	})
}

// unknown has words for what the channel cannot read: else the user waits for an answer to what nobody has seen.
func (r *run) unknown() {
	if r.Unknown == nil {
		r.Skip("the Subject has no Unknown: users can send nothing that the channel does not know")
	}
	r.Unknown()
	if in := r.took(""); letters(in.Text) == "" {
		r.Fatal("what the channel does not know comes without words")
	}
}

// refusesOne has one conversation refused for ever, in which as much is said as a platform gives at once. Others are
// heard all the same, and some day the platform is to repeat it no more.
func (r *run) refusesOne(refusal error) {
	if r.Serve == nil || r.Other == nil {
		r.Skip("the Subject has no Serve and no Other: the platform repeats nothing")
	}
	synctest.Test(r.T, func(t *testing.T) {
		s := r.start(t)
		var mu sync.Mutex
		refused, heard := 0, 0
		s.Serve(t.Context(), func(_ context.Context, m handover.Incoming) error {
			mu.Lock()
			defer mu.Unlock()
			if m.Conversation.ID == s.Conversation {
				refused++
				return refusal
			}
			heard++
			return nil
		})
		for range 101 {
			go s.Platform.Write("me, me, me")
		}
		time.Sleep(10 * time.Second)
		go s.Other("and me?")
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		if heard != 1 {
			t.Errorf("one conversation is refused, and of another %d messages come within a minute, not one", heard)
		}
		mu.Unlock()
		time.Sleep(time.Hour)
		mu.Lock()
		before := refused
		mu.Unlock()
		time.Sleep(6 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if refused != before {
			t.Errorf("what one conversation refuses is repeated for hours: platforms switch the hooks of all off for that")
		}
	})
}
