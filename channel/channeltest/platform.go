package channeltest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Refusal is how a platform fails.
type Refusal int

// The refusals.
const (
	Down   Refusal = iota // it answers 502
	Busy                  // it wants to be left alone for RetryAfter
	Away                  // the user has blocked the bot, or cannot be written to now
	Format                // it does not take what it is given
)

// String names the refusal.
func (r Refusal) String() string {
	return [...]string{"down", "busy", "away", "format"}[r]
}

// RetryAfter is for how many seconds a fake that is Busy wants to be left alone.
const RetryAfter = 7

// Seen is a message as the user sees it.
type Seen struct {
	ID      string
	User    bool     // the user wrote it
	Text    string   // as it is read, without markup
	Raw     string   // as it was sent
	Buttons []Press  // under the message, and on its cards
	Files   []string // URLs, or names of files that were uploaded
	Edited  bool
	Removed bool
}

// Press is a button.
type Press struct {
	Title string
	Data  string // what the platform sends when it is pressed
	URL   string
}

// String is the message on a line: "Ann: Hello <https://…> [Choice]".
func (s Seen) String() string {
	line := s.Text
	for _, f := range s.Files {
		line = strings.TrimSpace(line + " <" + f + ">")
	}
	for _, b := range s.Buttons {
		line = strings.TrimSpace(line + " [" + b.Title + "]")
	}
	switch {
	case s.Removed:
		line = "(removed)"
	case s.Edited:
		line += " (edited)"
	}
	if s.User {
		line = "> " + line
	}
	return line
}

// Platform is the fake of a platform, with one user.
type Platform interface {
	// Seen returns all that stands in the user's conversation with the bot, the oldest first.
	Seen() []Seen
	// Write has the user write a text, and Press press the newest button with this title. Press is false if there is
	// none.
	Write(text string)
	Press(title string) bool
	// Fail has the calls that show something refused: after so many, for so many; times -1 is from then on.
	Fail(r Refusal, after, times int)
	// Mend ends all that Fail has begun.
	Mend()
}

// Wall is what the user of a fake sees, and how the fake fails. Fakes of other platforms may be made of it.
type Wall struct {
	mu     sync.Mutex
	seen   []Seen
	faults []fault
	read   int // of seen, by New
	typing int
}

type fault struct {
	refusal      Refusal
	after, times int
}

// Seen implements Platform.
func (w *Wall) Seen() []Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

// New returns the lines that came since it was last called.
func (w *Wall) New() (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.seen[w.read:] {
		lines = append(lines, s.String())
	}
	w.read = len(w.seen)
	return lines
}

// Lines returns all lines.
func (w *Wall) Lines() (lines []string) {
	for _, s := range w.Seen() {
		lines = append(lines, s.String())
	}
	return lines
}

// Fail implements Platform.
func (w *Wall) Fail(r Refusal, after, times int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fault{r, after, times})
}

// Mend implements Platform.
func (w *Wall) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// Typing returns how often it was shown that somebody types.
func (w *Wall) Typing() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.typing
}

// Types notes that somebody types.
func (w *Wall) Types() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.typing++
}

// Refuses says whether a call that shows something is refused now, and how. A fake asks it once for each such call.
func (w *Wall) Refuses() (r Refusal, refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) == 0 {
		return 0, false
	}
	f := &w.faults[0]
	if f.after > 0 {
		f.after--
		return 0, false
	}
	if r = f.refusal; f.times > 0 {
		if f.times--; f.times == 0 {
			w.faults = w.faults[1:]
		}
	}
	return r, true
}

// Show adds a message, with an id if it has none: its place, from 1 on.
func (w *Wall) Show(s Seen) Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.ID == "" {
		s.ID = fmt.Sprint(len(w.seen) + 1)
	}
	w.seen = append(w.seen, s)
	return s
}

// Change changes the message with this id. It is false if there is none, or it was removed.
func (w *Wall) Change(id string, change func(*Seen)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.seen, func(s Seen) bool { return s.ID == id && !s.Removed })
	if i >= 0 {
		change(&w.seen[i])
	}
	return i >= 0
}

// Find returns the newest button with a title, and the message that it is under.
func (w *Wall) Find(title string) (s Seen, b Press, ok bool) {
	all := w.Seen()
	for _, s := range slices.Backward(all) {
		for _, b := range s.Buttons {
			if b.Title == title && !s.Removed {
				return s, b, true
			}
		}
	}
	return Seen{}, Press{}, false
}
