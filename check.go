package handover

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/crisphandover/handover/internal/checkup"
	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/website"
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
	texts := h.host.textsOf(Session{})
	f := checkup.Facts{
		DailyCalls: h.cfg.Limits.DailyCalls, HasPresence: h.cfg.Presence != nil, RefuseUnknown: h.cfg.Policy.RefuseUnknown,
		NotesInData: h.cfg.Policy.NoteFallback == NoteInData, HistoryURL: h.cfg.History.URL, Silent: texts.silent(),
		Store: h.checkStore(ctx), Sites: h.checkSites(ctx),
	}
	f.Run.Works, f.Run.Missed = h.overdue.Works()
	var api *crispapi.Client // of the first website that answers
	if i := slices.IndexFunc(f.Sites, checkup.Site.Usable); i >= 0 {
		api = h.sites[f.Sites[i].ID].API
	}
	f.Reads = checkup.AskScopes(ctx, api)
	return reportOf(f.Rows())
}

// checkStore loads a record, and compares the store's clock with this process's.
func (h *engine) checkStore(ctx context.Context) (f checkup.Store) {
	begun := h.store.process()
	r, err := h.store.load(ctx, websitePrefix+h.cfg.WebsiteID)
	f.Took, f.Err = h.store.process().Sub(begun), err
	if f.Clocked = err == nil && !r.Now.IsZero(); f.Clocked {
		f.Ahead = r.Now.Sub(begun.Add(f.Took / 2))
	}
	_, f.Memory = h.cfg.Store.(*MemoryStore)
	return f
}

// checkSites asks about all websites, some at a time.
func (h *engine) checkSites(ctx context.Context) []checkup.Site {
	ids := h.cfg.websites()
	all := make([]checkup.Site, len(ids))
	free := make(chan struct{}, checksAtOnce)
	var asking sync.WaitGroup
	for i, id := range ids {
		all[i] = checkup.Site{ID: id, Err: checkup.ErrNotAsked, ThereErr: checkup.ErrNotAsked}
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			h.checkSite(ctx, h.sites[id], &all[i])
		})
	}
	asking.Wait()
	return all
}

// checkSite asks Crisp about a website, and reads what all replicas know of it.
func (h *engine) checkSite(ctx context.Context, s *website.Site, f *checkup.Site) {
	f.Signed, f.Keyed, f.WebsiteToken = len(h.cfg.Webhook.Secrets) > 0, len(h.cfg.Webhook.URLKeys[s.ID]) > 0, h.cfg.Token.Tier == TierWebsite
	w, err := s.Read(ctx) // first: other replicas may know that Crisp has asked for fewer calls
	f.RecordErr, f.Hook, f.NoNotes, f.Refused = err, s.LastHook(&w), h.store.now().Before(w.NoNotes), h.refusals.reason()
	checkup.AskWebsite(ctx, s.API, f)
	f.Calls = s.API.Calls.Load() + w.CallsOf(h.store.now())
}
