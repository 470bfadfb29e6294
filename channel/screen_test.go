package channel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

var quiet = slog.New(slog.DiscardHandler)

// wall is a platform: what it shows, by id.
type wall struct {
	lines []string
	fail  int // the line that cannot be shown yet; 0: none
}

func (w *wall) show(_ context.Context, p channel.Part) (string, error) {
	if w.fail == len(w.lines)+1 {
		w.fail = 0
		return "", errors.New("down")
	}
	w.lines = append(w.lines, p.Text)
	return fmt.Sprint(len(w.lines) - 1), nil
}

func parts(texts ...string) (all []channel.Part) {
	for _, text := range texts {
		all = append(all, channel.Part{Text: text})
	}
	return all
}

func TestShow(t *testing.T) {
	w, memory := &wall{fail: 2}, &channel.Memory{}
	screen := channel.NewScreen("wall", memory, quiet)
	_, err := screen.Show(t.Context(), "c", "m1", parts("a", "a", "b"), w.show)
	require.ErrorContains(t, err, "down")
	for range 2 {
		id, err := screen.Show(t.Context(), "c", "m1", parts("a", "a", "b"), w.show)
		require.NoError(t, err)
		require.Equal(t, "0 1 2", id)
		screen = channel.NewScreen("wall", memory, quiet) // after a restart
	}
	require.Equal(t, []string{"a", "a", "b"}, w.lines, "none twice")

	_, err = screen.Show(t.Context(), "c", "m1", parts("a, plain"), w.show)
	require.NoError(t, err)
	_, err = channel.NewScreen("other", memory, quiet).Show(t.Context(), "c", "m1", parts("a"), w.show)
	require.NoError(t, err)
	for range 2 {
		_, err = screen.Show(t.Context(), "c", "", parts("bot"), w.show)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"a", "a", "b", "a, plain", "a", "bot", "bot"}, w.lines, "other contents, channels, and the bot's words are shown")

	_, err = screen.Show(t.Context(), "c", "m2", nil, w.show)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	id, err := screen.Show(t.Context(), "c", "m3", parts("x"), func(context.Context, channel.Part) (string, error) { return "", nil })
	require.NoError(t, err)
	require.Empty(t, id)
}

func TestShowDoesNotOverlap(t *testing.T) {
	screen := channel.NewScreen("wall", nil, quiet)
	_, err := screen.Show(t.Context(), "c", "m", parts("a"), func(ctx context.Context, p channel.Part) (string, error) {
		_, err := screen.Show(ctx, "c", "m", parts("a"), nil)
		require.Error(t, err)
		require.NotErrorIs(t, err, errors.ErrUnsupported)
		return "1", nil
	})
	require.NoError(t, err)
}

// broken is a Sent that fails.
type broken struct{ channel.Memory }

func (b *broken) Keep(context.Context, string, string) error { return errors.New("full") }
func (b *broken) Recall(_ context.Context, key string) (string, bool, error) {
	if strings.Contains(key, "shown") {
		return "", false, errors.New("down")
	}
	return "", false, nil
}

func TestShowWithoutMemory(t *testing.T) {
	_, err := channel.NewScreen("wall", &broken{}, quiet).Show(t.Context(), "c", "m", parts("a"), new(wall).show)
	require.ErrorContains(t, err, "down", "it is not known what was shown")
}

// full is a Sent that keeps nothing.
type full struct{ channel.Memory }

func (*full) Keep(context.Context, string, string) error { return errors.New("full") }

// TestShowThatIsNotKept is logged, without words, and no reason to show it again; a button that would mean nothing is.
func TestShowThatIsNotKept(t *testing.T) {
	var log strings.Builder
	screen := channel.NewScreen("wall", &full{}, slog.New(slog.NewTextHandler(&log, nil)))
	p := parts("secret words")
	p[0].Listed = []channel.Choice{{Number: 1, Title: "secret words", Payload: "secret words"}}
	_, err := screen.Show(t.Context(), "c", "m", p, new(wall).show)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(log.String(), "Sent failed"), log.String())
	require.NotContains(t, log.String(), "words")
	_, err = screen.Data(t.Context(), strings.Repeat("x", 65), 64)
	require.ErrorContains(t, err, "full")
	_, err = screen.Data(t.Context(), "short", 64)
	require.NoError(t, err)
}

// blind is a Sent that cannot be read while it is dark.
type blind struct {
	channel.Memory
	dark bool
}

func (b *blind) Recall(ctx context.Context, key string) (string, bool, error) {
	if b.dark {
		return "", false, errors.New("down")
	}
	return b.Memory.Recall(ctx, key)
}

// TestChoicesThatAreOver: a message that lists nothing takes back what was listed, also where it cannot be read whether
// anything was. Else a number would be taken for an old choice.
func TestChoicesThatAreOver(t *testing.T) {
	sent := &blind{}
	screen := channel.NewScreen("wall", sent, quiet)
	p := parts("1. Yes\n2. No")
	p[0].Listed = []channel.Choice{{Number: 1, Title: "Yes", Payload: "yes"}, {Number: 2, Title: "No", Payload: "no"}}
	_, err := screen.Show(t.Context(), "c", "", p, new(wall).show)
	require.NoError(t, err)
	payload, _, err := screen.Chosen(t.Context(), "c", "2")
	require.NoError(t, err)
	require.Equal(t, "no", payload)
	sent.dark = true
	_, err = screen.Show(t.Context(), "c", "", parts("How many do you want?"), new(wall).show)
	require.NoError(t, err)
	sent.dark = false
	payload, ok, err := screen.Chosen(t.Context(), "c", "2")
	require.NoError(t, err)
	require.False(t, ok, payload)
}

func TestRevise(t *testing.T) {
	revision := func(ids string, removed bool) handover.Revision {
		return handover.Revision{Message: handover.Message{ChannelID: ids}, Removed: removed}
	}
	var calls []string
	edit := func(_ context.Context, id string, p channel.Part) error {
		calls = append(calls, "edit "+id+" "+p.Text)
		return nil
	}
	remove := func(_ context.Context, id string) error { calls = append(calls, "remove "+id); return nil }
	screen := channel.NewScreen("wall", nil, quiet)
	require.NoError(t, screen.Revise(t.Context(), revision("1 2 3", false), parts("a", "b"), edit, remove))
	require.NoError(t, screen.Revise(t.Context(), revision("1 2", true), parts("a"), edit, remove))
	require.Equal(t, []string{"edit 1 a", "edit 2 b", "remove 3", "remove 1", "remove 2"}, calls)
	for name, err := range map[string]error{
		"nothing":       screen.Revise(t.Context(), revision("1", false), nil, edit, remove),
		"too many":      screen.Revise(t.Context(), revision("1", false), parts("a", "b"), edit, remove),
		"not known":     screen.Revise(t.Context(), revision("", true), nil, edit, remove),
		"no id":         screen.Revise(t.Context(), revision("-", true), nil, edit, remove),
		"no removals":   screen.Revise(t.Context(), revision("1 2", false), parts("a"), edit, nil),
		"no edits":      screen.Revise(t.Context(), revision("1", false), parts("a"), nil, remove),
		"into a file":   screen.Revise(t.Context(), revision("1", false), []channel.Part{{File: &handover.File{}}}, edit, remove),
		"into the card": screen.Revise(t.Context(), revision("1", false), []channel.Part{{Cards: []channel.Card{{}}}}, edit, remove),
	} {
		require.ErrorIs(t, err, errors.ErrUnsupported, name)
	}
	require.Len(t, calls, 5)
}

func TestChosen(t *testing.T) {
	screen := channel.NewScreen("wall", nil, quiet)
	show := func(c channel.Capabilities, m handover.RichMessage) {
		_, err := screen.Show(t.Context(), "c", "", c.Render(handover.Message{From: handover.FromBot, Content: m}), new(wall).show)
		require.NoError(t, err)
	}
	chooses := func(text string) string {
		payload, _, err := screen.Chosen(t.Context(), "c", text)
		require.NoError(t, err)
		return payload
	}
	show(whatsapp, handover.RichMessage{Text: "Which?", QuickReplies: replies("Red", "Contact me back via email", "3. Blue", "12")})
	for text, want := range map[string]string{
		"1": "p1", "1.": "p1", "red": "p1", " 1. Red ": "p1", "2. Contact me…": "p2", "contact me back via email": "p2", "3": "p3", "3. blue": "p3", "12": "p4", "4": "p4",
		"": "", "5": "", "Re": "", "0": "", "red, please": "", strings.Repeat("1", 2000): "",
	} {
		require.Equal(t, want, chooses(text), text)
	}
	_, ok, err := screen.Chosen(t.Context(), "another", "1")
	require.NoError(t, err)
	require.False(t, ok)
	show(whatsapp, template(handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: "Sure?", Buttons: []handover.Button{{Type: handover.ButtonPostback, Title: "Yes, but not before Sunday", Payload: "y"}}}))
	require.Equal(t, "y", chooses("yes, but not before sunday"))
	require.Empty(t, chooses("1"), "one choice has no number")
	show(whatsapp, handover.RichMessage{Text: "Which?", QuickReplies: replies("Red")})
	require.Empty(t, chooses("red"), "its button was not listed")
}

func TestData(t *testing.T) {
	screen := channel.NewScreen("wall", nil, quiet)
	for _, payload := range []string{"", "short", strings.Repeat("x", 64), strings.Repeat("x", 65), "~", "~" + strings.Repeat("a", 22), "\xff", strings.Repeat("é", 500)} {
		data, err := screen.Data(t.Context(), payload, 64)
		require.NoError(t, err)
		require.LessOrEqual(t, len(data), 64)
		got, ok, err := screen.Payload(t.Context(), data)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, payload, got)
	}
	data, err := screen.Data(t.Context(), strings.Repeat("x", 65), 64)
	require.NoError(t, err)
	_, ok, err := channel.NewScreen("wall", nil, quiet).Payload(t.Context(), data)
	require.NoError(t, err)
	require.False(t, ok, "it is forgotten")
}

func TestMemory(t *testing.T) {
	m := &channel.Memory{Max: 2}
	for i, key := range []string{"a", "b", "a", "c"} {
		require.NoError(t, m.Keep(t.Context(), key, fmt.Sprint(i)))
	}
	for key, want := range map[string]string{"a": "2", "b": "", "c": "3"} {
		value, ok, err := m.Recall(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, want != "", ok, "what was kept longest ago is gone: %s", key)
		require.Equal(t, want, value)
	}
}
