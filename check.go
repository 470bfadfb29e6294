package handover

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
)

const (
	// checkTimeout bounds Check.
	checkTimeout = 30 * time.Second
	// checksAtOnce is how many websites Check asks about at the same time.
	checksAtOnce = 8
)

// Check finds out whether everything is set up for handovers, and says of each thing what was found and what
// to do. Finding lists what it looks at.
//
//	if err := h.Check(ctx).Err(); err != nil { … } // what must be mended
//	fmt.Print(h.Check(ctx))                        // all that was found
//
// It only reads: nothing changes in Crisp, nobody is told, and what it reads of a conversation is thrown
// away. It calls Crisp also where calls are held back after refusals, so that a person who has mended the
// token sees it at once, and calls go on; not while Crisp has asked for fewer calls. It costs five calls to
// Crisp, and two for each further website, and ends after 30 seconds: what was not answered by then is
// unknown.
func (h *Handover) Check(ctx context.Context) Report {
	if err := h.made(); err != nil {
		return Report{{Name: "handover", Severity: SeverityProblem, Says: "There is no Handover.", Do: "Make it with New.", Err: err}}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f := &facts{cfg: h.cfg}
	f.run.runs, f.run.missed = h.overdue.Works()
	f.texts = h.host.textsOf(Session{})
	f.store = h.checkStore(ctx)
	f.sites = h.checkSites(ctx)
	f.reads = h.checkReads(ctx, f.sites)
	f.now = h.store.now()
	return f.report()
}

// checkStore loads a record, and compares the store's clock with this process's.
func (h *engine) checkStore(ctx context.Context) (f storeFacts) {
	begun := h.store.process()
	r, err := h.store.load(ctx, websitePrefix+h.cfg.WebsiteID)
	f.took, f.err = h.store.process().Sub(begun), err
	if f.clocked = err == nil && !r.Now.IsZero(); f.clocked {
		f.ahead = r.Now.Sub(begun.Add(f.took / 2))
	}
	return f
}

// checkSites asks about all websites, some at a time.
func (h *engine) checkSites(ctx context.Context) []siteFacts {
	ids := append([]string{h.cfg.WebsiteID}, h.cfg.Websites...)
	all := make([]siteFacts, len(ids))
	free := make(chan struct{}, checksAtOnce)
	var asking sync.WaitGroup
	for i, id := range ids {
		all[i] = siteFacts{id: id, err: errNotAsked, thereErr: errNotAsked}
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			all[i] = h.sites[id].check(ctx)
			all[i].refused = h.refusals.reason()
		})
	}
	asking.Wait()
	return all
}

// check asks Crisp about the website, and reads what all replicas know of it.
func (s *site) check(ctx context.Context) siteFacts {
	f := siteFacts{id: s.id, thereErr: errNotAsked}
	w, err := s.shared(ctx) // first: other replicas may know that Crisp has asked for fewer calls
	f.recordErr, f.hook, f.noNotes = err, s.lastHook(&w), s.store.now().Before(w.NoNotes)
	ctx = crispapi.Force(ctx)
	if f.err = s.api.Website(ctx); f.usable() {
		var status string
		status, f.thereErr = s.api.Availability(ctx)
		f.there = Presence(cmp.Or(status, string(PresenceUnknown)))
	}
	if f.calls = s.api.Calls.Load(); w.Day == today(s.store.now()) {
		f.calls += w.Calls
	}
	return f
}

// checkReads tries each scope that a read can show, on the first website that answers.
func (h *engine) checkReads(ctx context.Context, sites []siteFacts) []readFacts {
	list := readFacts{name: "read_conversations", op: "list conversations", err: errNotAsked}
	log := readFacts{name: "read_messages", op: "read messages", err: errNotAsked}
	state := readFacts{name: "read_states", op: "read state", err: errNotAsked}
	for i := range sites {
		if !sites[i].usable() {
			continue
		}
		ctx, api := crispapi.Force(ctx), h.sites[sites[i].id].api
		var rows []crispConversation
		if rows, list.err = api.List(ctx, 1); list.err == nil {
			log.err, state.err = errNoConversation, errNoConversation
			if i := slices.IndexFunc(rows, func(c crispConversation) bool { return crispapi.ValidSessionID(c.SessionID) }); i >= 0 {
				_, log.err = api.Page(ctx, rows[i].SessionID, 0)
				state.err = api.ReadState(ctx, rows[i].SessionID)
			}
		}
		break
	}
	return []readFacts{list, log, state}
}
