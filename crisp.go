package handover

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crisplog"
)

// What the library reads and writes of a conversation.
type (
	crispMetas        = crispapi.Metas
	crispDevice       = crispapi.Device
	crispConversation = crispapi.Conversation
)

// callTimeout bounds one call to Crisp.
const callTimeout = crispapi.CallTimeout

// newCrispAPI returns what calls Crisp for one website. It repeats nothing: what is tried again is written
// in the record first. state hears when calls to the website stop or go on.
func newCrispAPI(cfg *Config, website string, tell func(...Activity), state func(crispapi.State)) *crispapi.Client {
	return crispapi.New(crispapi.Config{
		BaseURL: cfg.BaseURL, WebsiteID: website, HTTP: cfg.HTTPClient,
		Token:   crispapi.Token{Identifier: cfg.Token.Identifier.text(), Key: cfg.Token.Key.text(), Tier: string(cfg.Token.Tier)},
		OnState: state,
		OnPanic: func(stack string) { cfg.Logger.Error("handover: the HTTP transport panicked", "stack", stack) },
		OnCall: func(c crispapi.Call) {
			a := Activity{Kind: ActivityCall, Effect: c.Op, Took: c.Took, At: c.Begun}
			if c.Err != nil {
				a.Err = newAPIError(c.Err)
			}
			tell(a)
		},
		Fault: func(e *crispapi.Error) error { return newAPIError(e) },
	})
}

// read reads Crisp's log back to where it was read before, and the state if that is wanted. A state
// that cannot be read does not hold up the messages.
func (s *site) read(ctx context.Context, l *logRead) *reading {
	pages := 0
	if l.early {
		pages = 1
	}
	n, err := s.log(ctx, l.crisp, l.since, l.stop, pages)
	n.of, n.err = l, err
	if n.err == nil && l.state {
		if state, err := s.api.Conversation(ctx, l.crisp); err == nil {
			n.state = &state
		} else {
			n.stateErr = err
		}
	}
	for _, err := range []error{n.err, n.stateErr} {
		if e := apiError(err); e != nil && e.StatusCode == http.StatusNotFound {
			n.gone = s.api.Gone(ctx, l.crisp)
			break
		}
	}
	for _, fp := range l.singles {
		if n.err != nil || n.shows(fp) {
			continue
		}
		item, err := s.api.Message(ctx, l.crisp, fp)
		switch {
		case err != nil:
			n.err = err
		case item == nil || item.Why != "":
			n.missing = append(n.missing, fp)
		default:
			n.singles = append(n.singles, readMessage(item.Raw))
		}
	}
	return n
}

// log reads messages from the newest back to a time, or to a page that has one of the messages in
// stop. At most pages are read; 0 means as many as one read may take. What is cut is true when messages may
// be missing.
func (s *site) log(ctx context.Context, id string, since int64, stop []int64, pages int) (*reading, error) {
	read, err := s.api.Messages(ctx, id, crispapi.Reach{
		Pages: pages, Since: since, Known: func(fp int64) bool { return slices.Contains(stop, fp) },
	})
	n := &reading{cut: read.Cut || read.Gap}
	n.messages, n.odd = messagesOf(read.Items)
	return n, err
}

// messagesOf separates messages from those that cannot be used.
func messagesOf(items []crispapi.Item) (msgs []EventMessage, odd []oddMessage) {
	for _, item := range items {
		if item.Why == "" {
			msgs = append(msgs, readMessage(item.Raw))
			continue
		}
		o := oddMessage{id: item.ID, fingerprint: item.Fingerprint, at: item.At, why: string(item.Why)}
		if item.Why == crispapi.NoFingerprint || item.Why == crispapi.NoTime { // all else of it is beyond doubt
			m := readMessage(item.Raw)
			o.private = isPrivate(m.Type) || m.From == "user"
		}
		odd = append(odd, o)
	}
	return msgs, odd
}

// humanPart reads the conversation of the user with the agents from Crisp's log. unread is true
// when it cannot be read.
func (c *crispCalls) humanPart(ctx context.Context, rec *record, e *effect) (all []Message, unread bool) {
	if e.Crisp == "" {
		return nil, false
	}
	read, err := c.sites.of(rec).log(ctx, e.Crisp, e.At, []int64{e.FP}, 0)
	if err != nil {
		return nil, true
	}
	for _, l := range inOrder(read.messages) {
		if l.Timestamp < e.At {
			continue // before the takeover
		}
		if rec.beganLater(e, l) {
			break // OnEnd hears of its end late
		}
		from := FromUser
		var agent Agent
		if l.From == "operator" {
			if isPrivate(l.Type) || l.Automated || c.cfg.Policy.isBot(l.Origin) {
				continue
			}
			from, agent = FromAgent, agentOf(l)
		}
		if l.Fingerprint == e.FP {
			all = nil // what came before belongs to an earlier handover
			continue
		}
		parts, err := fromCrisp(l.Type, l.Content, l.Fingerprint)
		if err != nil {
			continue
		}
		for i, p := range parts {
			all = append(all, Message{ID: messageID(e.Crisp, l.Fingerprint, i), From: from, Agent: agent, Content: p.Content, File: p.File, At: time.UnixMilli(l.Timestamp).UTC()})
		}
	}
	return all, read.cut
}

// inOrder returns messages in the order of Crisp's log.
func inOrder(msgs []EventMessage) []*EventMessage {
	all := make([]*EventMessage, len(msgs))
	for i := range msgs {
		all[i] = &msgs[i]
	}
	slices.SortStableFunc(all, func(a, b *EventMessage) int {
		return crisplog.Position{At: a.Timestamp, FP: a.Fingerprint}.Compare(crisplog.Position{At: b.Timestamp, FP: b.Fingerprint})
	})
	return all
}

// beganLater reports whether a message opened, or took over, a handover after the one that has ended.
func (rec *record) beganLater(end *effect, m *EventMessage) bool {
	began := func(opening, from int64) bool { return m.Fingerprint == opening || from != 0 && m.Timestamp >= from }
	for _, e := range rec.ToUser {
		if e.Kind == kindOnEnd && e.Crisp == end.Crisp && e.N > end.N && began(e.FP, e.At) {
			return true
		}
	}
	ho := rec.Handover
	return ho != nil && ho.ID != end.HandoverID && ho.CrispID == end.Crisp && began(ho.Opening, ho.From)
}
