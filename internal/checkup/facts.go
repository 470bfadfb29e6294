package checkup

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

// Facts are what was found out.
type Facts struct {
	DailyCalls    int           // the token's quota
	MaxAge        time.Duration // of signed hooks; 0: any
	RefuseUnknown bool
	HasPresence   bool     // the host decides who is there
	NotesInData   bool     // where the plan has no notes
	HistoryURL    string   // of the history page; empty: there is none
	FilesURL      string   // of the users' files; empty: there are no links to them
	Silent        []string // the texts that are left out, by their names
	Store         Store
	Run           Run
	Sites         []Site
	Reads         []Read
}

// Store is what one load from the store told.
type Store struct {
	Err     error
	Took    time.Duration
	Ahead   time.Duration // of this process's clock, the store's is
	Clocked bool          // the store has a clock of its own
	Memory  bool          // the state dies with the process
}

// Run is what is known of the work in this process.
type Run struct {
	Works  bool
	Missed bool // something was due, and nobody worked on it
}

// Site is what is known of one website.
type Site struct {
	ID        string
	Err       error         // of reading the website
	Ahead     time.Duration // of this process's clock, Crisp's is, to the second
	Clocked   bool          // Crisp's answers tell its time
	There     string        // Crisp's word for whether somebody is there; empty: none that is known
	ThereErr  error
	RecordErr error // of the store, that has what follows
	Calls     int64 // today
	NoNotes   bool
	Hook      time.Time // the last that came; zero: none
	Refused   error     // why the last hook was refused that this process could not verify
	// Signed and Keyed say how hooks of the website can be verified.
	Signed, Keyed bool
	WebsiteToken  bool // the token is a website's, not a plugin's: Crisp signs no hooks that belong to it
}

// Read is what came of one read of Crisp that shows a scope.
type Read struct {
	Name, Op string
	Err      error
}

// ErrNotAsked is in a Site and in a Read for what was not asked, because something else must be mended first.
var ErrNotAsked = errors.New("it was not asked")

var errNoConversation = errors.New("there is no conversation to read yet")

// first returns the first error of a website that fits, or nil.
func (f *Facts) first(fits func(error) bool) error {
	for _, s := range f.Sites {
		if s.Err != nil && fits(s.Err) {
			return s.Err
		}
	}
	return nil
}

// anyError returns an error of any call that fits, or nil.
func (f *Facts) anyError(fits func(error) bool) error {
	all := []error{f.first(fits)}
	for _, s := range f.Sites {
		all = append(all, s.ThereErr)
	}
	for _, r := range f.Reads {
		all = append(all, r.Err)
	}
	if i := slices.IndexFunc(all, func(err error) bool { return err != nil && fits(err) }); i >= 0 {
		return all[i]
	}
	return nil
}

// isElsewhere reports whether what was asked for the website has no such path: Crisp says of a website that it does not
// know why.
func isElsewhere(s Site) bool {
	e := apiError(s.Err)
	return e != nil && e.StatusCode == http.StatusNotFound && slices.Contains([]string{"", "not_found", "route_not_found"}, e.Reason)
}

// Usable reports whether more can be asked about the website.
func (s Site) Usable() bool {
	e := apiError(s.Err)
	return s.Err == nil || e != nil && e.StatusCode == http.StatusForbidden && !refusesToken(s.Err)
}
