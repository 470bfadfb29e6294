package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// screen is the terminal: what the user writes and sees and, with the fake Crisp, what happens
// there.
type screen struct {
	crisp *handovertest.Crisp // nil with a real Crisp

	mu       sync.Mutex
	out      io.Writer
	messages []handover.Message // everything shown, for the history page
	recorded int                // lines of the fake's record that are printed
}

// deliver shows a message of an agent or of the library; it is Config.Deliver. A message that
// comes again, since it is not known whether it was shown, is shown once.
func (s *screen) deliver(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.messages, func(old handover.Message) bool { return old.ID == m.ID }) {
		s.show(m)
	}
	return m.ID, nil
}

// say shows a message of the user's or of the bot's.
func (s *screen) say(from handover.From, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show(handover.Message{
		ID: fmt.Sprintf("%s-%d", from, len(s.messages)), From: from, Content: handover.TextMessage(text), At: time.Now(),
	})
}

// transcript is Config.Transcript: what the history page shows.
func (s *screen) transcript(context.Context, handover.Conversation) ([]handover.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages), nil
}

// update prints what happened in the fake Crisp since the last line.
func (s *screen) update() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.printRecord()
}

// end prints the last line.
func (s *screen) end(reason handover.EndReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.out, "handover ended:", reason)
}

// show prints a message and remembers it. The caller holds the lock.
func (s *screen) show(m handover.Message) {
	s.printRecord()
	s.messages = append(s.messages, m)
	who := string(m.From)
	if m.From == handover.FromAgent {
		who += " " + m.Agent.Name
	}
	text := m.WithoutMarkdown().Content.Text
	if text == "" {
		text = m.PlainText()
	}
	for _, choice := range m.Content.QuickReplies {
		text += " [" + choice.Title + "]"
	}
	s.print(who, text)
}

func (s *screen) printRecord() {
	if s.crisp == nil {
		return
	}
	record := s.crisp.Record()
	for _, line := range record[s.recorded:] {
		s.print("crisp", line)
	}
	s.recorded = len(record)
}

// print prints a text, each of its lines behind its author.
func (s *screen) print(who, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(s.out, "%s: %s\n", who, strings.TrimSuffix(line, "\n"))
	}
}
