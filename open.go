package handover

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Request is what a bot says when it asks for a human.
type Request struct {
	Segments []string `json:"segments,omitempty"` // Crisp's labels for routing and filters
	User     UserData `json:"user,omitzero"`      // shown to the agents
	Note     string   `json:"note,omitempty"`     // for the agents only: why, what was tried
	Resume   string   `json:"resume,omitempty"`   // comes back in Summary.Resume
	Locale   string   `json:"locale,omitempty"`   // such as "fr"; also Session.Locale, for Texts
	Inbox    string   `json:"inbox,omitempty"`    // Crisp's id of a sub-inbox
	Operator string   `json:"operator,omitempty"` // Crisp's user id of the agent to assign
	// NoAgent overrides Config.NoAgent, in the user's language perhaps.
	NoAgent []RichMessage `json:"no_agent,omitempty"`
	// Timeouts overrides Config.Timeouts where it is set, except Reply and Late, which are not of
	// one handover.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// CrispID is a Crisp session that exists, "session_…", to go on with instead of a new one. What
	// was written in it before stays unshown.
	CrispID string `json:"crisp_id,omitempty"`
	// HistoryURL is the host's own link to the history, instead of the library's page.
	HistoryURL string `json:"history_url,omitempty"`
}

// metasRequest is what an effect gives to a conversation's metas.
type metasRequest struct {
	Merge bool `json:"merge,omitzero"` // the conversation has metas already
}

// queueOpening queues the steps of an opening. Each is stored; whoever attends next goes on at the
// first that is not done.
func (d *data) queueOpening(st *stay) {
	step := func(e effect) {
		e.Stay, e.Crisp = st.ID, st.CrispID
		d.push(&d.Out, e)
	}
	st.CrispID = cmp.Or(st.Request.CrispID, d.reopens(st))
	switch {
	case st.CrispID == "":
		step(effect{Kind: kindCreate})
	case d.session(st.CrispID) == nil:
		d.Sessions = append(d.Sessions, &crispSession{ID: st.CrispID, Adopted: true})
	}
	d.dropResolve(st.CrispID)
	step(effect{Kind: kindMetas, Metas: &metasRequest{Merge: st.CrispID != ""}})
	if st.Request.Inbox != "" {
		step(effect{Kind: kindInbox, Note: st.Request.Inbox})
	}
	if st.Request.Operator != "" {
		step(effect{Kind: kindAssign, Note: st.Request.Operator})
	}
	st.Opening = fingerprint(d.Conversation, st.ID, "opening", 0)
	step(effect{Kind: kindGreet, FP: st.Opening, At: d.newest(st.CrispID)})
	if st.CrispID != "" {
		d.awaitOpening(st)
	}
}

// reopens returns the id of the Crisp session that is used again: the one that ended last, if that was
// a short time ago; else "".
func (d *data) reopens(st *stay) string {
	var last *crispSession
	for _, s := range d.Sessions {
		if last == nil || !s.Ended.Before(last.Ended) {
			last = s
		}
	}
	if last == nil || last.Gone || st.Timeouts.Reopen <= 0 || !last.Ended.Add(st.Timeouts.Reopen).After(d.env.now) {
		return ""
	}
	return last.ID
}

// create makes the Crisp conversation, at the website's pace. When the answer is lost the
// conversation that may exist has no message, and Crisp's lists hide it.
func (h *Handover) create(ctx context.Context, d *data, r report) report {
	wait, err := h.site(d.Conversation).pace(ctx)
	if err != nil {
		r.err = err
		return r
	}
	if wait > 0 {
		r.retry = time.Now().Add(wait)
		return r
	}
	r.id, r.err = h.site(d.Conversation).crisp.create(ctx)
	return r
}

func (d *data) created(e *effect, id string) {
	st := d.stayOf(e.Stay)
	if st == nil {
		return
	}
	st.CrispID = id
	d.Sessions = append(d.Sessions, &crispSession{ID: id, First: st.Opening})
	for _, x := range d.Out.Queue {
		if x.Stay == st.ID && x.Crisp == "" {
			x.Crisp = id
		}
	}
	d.awaitOpening(st)
}

// awaitOpening makes the session's mark that of our opening message, once that is seen.
func (d *data) awaitOpening(st *stay) {
	s := d.session(st.CrispID)
	s.Opening = st.Opening
	s.Table = append(s.Table, &entry{order: order{FP: st.Opening}, Fate: fateOurs})
}

// setMetas gives Crisp the user's data and segments. A refused field is left out, or shown among
// the data, and never stops the opening.
func (h *Handover) setMetas(ctx context.Context, d *data, e *effect) (emailed bool, err error) {
	st := d.stayOf(e.Stay)
	if st == nil {
		return false, nil
	}
	want, crisp := h.metasOf(st), h.site(d.Conversation).crisp
	if e.Metas != nil && e.Metas.Merge {
		have, err := crisp.metas(ctx, e.Crisp)
		if api := apiError(err); api != nil && api.StatusCode == http.StatusNotFound {
			// A read may be older than the conversation: a change tells whether it is gone.
			if probe := apiError(crisp.setMetas(ctx, e.Crisp, crispMetas{Nickname: want.Nickname})); probe != nil {
				return false, probe
			}
		}
		if err != nil {
			return false, err
		}
		want = mergeMetas(have, want)
	}
	err = crisp.setMetas(ctx, e.Crisp, want)
	if refused(err) {
		return h.setMetasOneByOne(ctx, crisp, e.Crisp, want)
	}
	return want.Email != "", err
}

// refused reports whether Crisp takes exception to what a call says.
func refused(err error) bool {
	e := apiError(err)
	return e != nil && (e.StatusCode == http.StatusBadRequest || e.StatusCode == http.StatusUnprocessableEntity)
}

// setMetasOneByOne finds the fields that Crisp refuses, and shows them among the data.
func (h *Handover) setMetasOneByOne(ctx context.Context, crisp *crispClient, id string, want crispMetas) (emailed bool, err error) {
	emailed = want.Email != ""
	rest := maps.Clone(want.Data)
	if rest == nil {
		rest = make(map[string]any)
	}
	try := func(name string, m crispMetas, value string) error {
		err := crisp.setMetas(ctx, id, m)
		if !refused(err) {
			return err
		}
		h.tell([]Activity{{Kind: ActivityLimited, CrispID: id, Why: name, At: time.Now()}})
		if value != "" {
			rest[name] = value
		}
		emailed = emailed && name != "email"
		return nil
	}
	for _, f := range []struct {
		name  string
		metas crispMetas
		value string
	}{
		{"nickname", crispMetas{Nickname: want.Nickname}, want.Nickname},
		{"email", crispMetas{Email: want.Email}, want.Email},
		{"phone", crispMetas{Phone: want.Phone}, want.Phone},
		{"avatar", crispMetas{Avatar: want.Avatar}, want.Avatar},
	} {
		if f.value == "" {
			continue
		}
		if err := try(f.name, f.metas, f.value); err != nil {
			return false, err
		}
	}
	if len(want.Segments) > 0 {
		if err := try("segments", crispMetas{Segments: want.Segments}, ""); err != nil {
			return false, err
		}
	}
	if want.Device != nil {
		if err := try("locale", crispMetas{Device: want.Device}, ""); err != nil {
			return false, err
		}
	}
	if len(rest) == 0 {
		return emailed, nil
	}
	return emailed, try("data", crispMetas{Data: rest}, "")
}

// metasOf is what Crisp shall know of the user.
func (h *Handover) metasOf(st *stay) crispMetas {
	u := st.Request.User.metas()
	m := crispMetas{Nickname: u.Nickname, Email: u.Email, Phone: u.Phone, Avatar: u.Avatar, Data: u.Data}
	if m.Email != "" && h.cfg.Policy.Email != EmailAlways && !st.ByEmail {
		m.Email = ""
		if h.cfg.Policy.Email == EmailNever {
			m.Data = maps.Clone(m.Data)
			if m.Data == nil {
				m.Data = make(map[string]any)
			}
			m.Data["email"] = u.Email
		}
	}
	for _, s := range st.Request.Segments {
		if s != "" && !slices.Contains(m.Segments, s) {
			m.Segments = append(m.Segments, s)
		}
	}
	if st.Request.Locale != "" {
		m.Device = &crispDevice{Locales: []string{st.Request.Locale}}
	}
	return m
}

// mergeMetas adds to what a conversation has: whether Crisp merges or replaces data is unknown.
func mergeMetas(have, want crispMetas) crispMetas {
	data := maps.Clone(have.Data)
	if data == nil {
		data = make(map[string]any)
	}
	maps.Copy(data, want.Data)
	if len(data) > 0 {
		want.Data = data
	}
	segments := slices.Clone(have.Segments)
	for _, s := range want.Segments {
		if !slices.Contains(segments, s) {
			segments = append(segments, s)
		}
	}
	want.Segments = segments
	return want
}

// greeted ends the opening: the Crisp conversation has its first message.
func (d *data) greeted(e *effect, fp int64) {
	s, st := d.session(e.Crisp), d.stayOf(e.Stay)
	if s != nil {
		s.Closed = false
	}
	if s != nil && st != nil && fp != e.FP { // Crisp gave it another fingerprint
		st.Opening = fp
		if s.First == e.FP {
			s.First = fp
		}
		if s.Opening == e.FP {
			s.Opening = fp
		}
		d.ours(s, fp)
	}
	switch {
	case d.runs(e.Stay):
		if d.Stay.Request.Note != "" {
			d.pushNote(e.Crisp, effect{Note: d.Stay.Request.Note})
		}
		d.fire(onOpened, happening{})
	case d.FollowUp != nil && d.FollowUp.ID == e.Stay:
		d.FollowUp.Opened = d.env.now
		d.say(textByEmail, "")
	}
}

// openingFailed reports whether a step of an opening is given up. Metas, inbox and operator are
// worth having, but no reason to leave the user alone; without a conversation or a first message
// the handover ends.
func (d *data) openingFailed(e *effect, r report) bool {
	api := apiError(r.err)
	if api == nil || api.Temporary() || e.Unsure { // a failing look-up settles nothing
		d.again(e, api)
		if e.Kind == kindGreet && !e.Unsure && api != nil && !api.SafeToRetry() {
			e.Unsure = true
			e.Next = latest(e.Next, r.begun.Add(callTimeout))
		}
		if f := d.FollowUp; f != nil && f.ID == e.Stay && e.Attempts >= d.env.cfg.Limits.Attempts {
			d.followUpFailed()
		}
		return false
	}
	d.observe(Activity{Kind: ActivityGivenUp, Effect: string(e.Kind), CrispID: e.Crisp, Err: r.err, Attempt: e.Attempts})
	if e.Kind == kindMetas || e.Kind == kindInbox || e.Kind == kindAssign {
		return true
	}
	if f := d.FollowUp; f != nil && f.ID == e.Stay {
		d.followUpFailed()
	} else if d.State == StateOpening && d.Stay.ID == e.Stay {
		d.fire(onOpenFailed, happening{})
	}
	return true
}

// followUpFailed says that nobody will answer by email after all.
func (d *data) followUpFailed() {
	d.say(textOpenFailed, "")
	d.dropFollowUp(happening{})
}

// choseEmail opens a follow-up, or asks for the address that it needs.
func (d *data) choseEmail(happening) {
	r := d.Offer.Request
	if _, ok := validEmail(r.User.Email); !ok {
		d.Offer.Asking = true
		d.say(textAskEmail, "")
		return
	}
	d.dropOpen(happening{})
	d.FollowUp = d.newStay(&r)
	d.FollowUp.ByEmail = true
	d.queueOpening(d.FollowUp)
}

// gaveEmail takes the answer to the question for an address.
func (d *data) gaveEmail(text string) {
	address, ok := validEmail(text)
	if !ok {
		d.say(textBadEmail, "")
		return
	}
	d.Offer.Request.User.Email = address
	d.choseEmail(happening{})
}
