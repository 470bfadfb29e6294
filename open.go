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
func (rec *record) queueOpening(ho *handover) {
	step := func(e effect) {
		e.HandoverID, e.Crisp = ho.ID, ho.CrispID
		rec.push(&rec.ToCrisp, e)
	}
	ho.CrispID = cmp.Or(ho.Request.CrispID, rec.reopens(ho))
	switch {
	case ho.CrispID == "":
		step(effect{Kind: kindCreate})
	case rec.Sessions.byID(ho.CrispID) == nil:
		rec.Sessions = append(rec.Sessions, &crispSession{ID: ho.CrispID, Bounds: boundary{Adopted: true}})
	}
	rec.dropResolve(ho.CrispID)
	step(effect{Kind: kindMetas, Metas: &metasRequest{Merge: ho.CrispID != ""}})
	if ho.Request.Inbox != "" {
		step(effect{Kind: kindInbox, Note: ho.Request.Inbox})
	}
	if ho.Request.Operator != "" {
		step(effect{Kind: kindAssign, Note: ho.Request.Operator})
	}
	ho.Opening = fingerprint(rec.Conversation, ho.ID, "opening", 0)
	step(effect{Kind: kindGreet, FP: ho.Opening, At: rec.newest(ho.CrispID)})
	if ho.CrispID != "" {
		rec.awaitOpening(ho)
	}
}

// reopens returns the id of the Crisp session that is used again: the one that ended last, if that was
// a short time ago; else "".
func (rec *record) reopens(ho *handover) string {
	if s := rec.Sessions.reusable(ho.Timeouts.Reopen, rec.env.now); s != nil {
		return s.ID
	}
	return ""
}

// create makes the Crisp conversation, at the website's pace. When the answer is lost the
// conversation that may exist has no message, and Crisp's lists hide it.
func (h *Handover) create(ctx context.Context, rec *record, r result) result {
	wait, err := h.siteOf(rec).pace(ctx)
	if err != nil {
		r.err = err
		return r
	}
	if wait > 0 {
		r.retry = time.Now().Add(wait)
		return r
	}
	r.id, r.err = h.siteOf(rec).crisp.create(ctx)
	return r
}

func (rec *record) created(e *effect, id string) {
	ho := rec.handoverOf(e.HandoverID)
	if ho == nil {
		return
	}
	ho.CrispID = id
	rec.Sessions = append(rec.Sessions, &crispSession{ID: id, Log: crispLog{First: ho.Opening}})
	for _, x := range rec.ToCrisp {
		if x.HandoverID == ho.ID && x.Crisp == "" {
			x.Crisp = id
		}
	}
	rec.awaitOpening(ho)
}

// awaitOpening makes the session's mark that of our opening message, once that is seen.
func (rec *record) awaitOpening(ho *handover) {
	s := rec.Sessions.byID(ho.CrispID)
	s.Bounds.await(ho.Opening)
	s.Log.ours(ho.Opening)
}

// setMetas gives Crisp the user's data and segments. A refused field is left out, or shown among
// the data, and never stops the opening.
func (h *Handover) setMetas(ctx context.Context, rec *record, e *effect) (emailed bool, err error) {
	ho := rec.handoverOf(e.HandoverID)
	if ho == nil {
		return false, nil
	}
	want, crisp := h.metasOf(ho), h.siteOf(rec).crisp
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
func (h *Handover) metasOf(ho *handover) crispMetas {
	u := ho.Request.User.metas()
	m := crispMetas{Nickname: u.Nickname, Email: u.Email, Phone: u.Phone, Avatar: u.Avatar, Data: u.Data}
	if m.Email != "" && h.cfg.Policy.Email != EmailAlways && !ho.ByEmail {
		m.Email = ""
		if h.cfg.Policy.Email == EmailNever {
			m.Data = maps.Clone(m.Data)
			if m.Data == nil {
				m.Data = make(map[string]any)
			}
			m.Data["email"] = u.Email
		}
	}
	for _, s := range ho.Request.Segments {
		if s != "" && !slices.Contains(m.Segments, s) {
			m.Segments = append(m.Segments, s)
		}
	}
	if ho.Request.Locale != "" {
		m.Device = &crispDevice{Locales: []string{ho.Request.Locale}}
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
func (rec *record) greeted(e *effect, fp int64) {
	s, ho := rec.Sessions.byID(e.Crisp), rec.handoverOf(e.HandoverID)
	if s != nil {
		s.State.reopened()
	}
	if s != nil && ho != nil && fp != e.FP { // Crisp gave it another fingerprint
		ho.Opening = fp
		if s.Log.First == e.FP {
			s.Log.First = fp
		}
		s.Bounds.rename(e.FP, fp)
		s.Log.ours(fp)
	}
	switch {
	case rec.runs(e.HandoverID):
		if rec.Handover.Request.Note != "" {
			rec.pushNote(e.Crisp, effect{Note: rec.Handover.Request.Note})
		}
		rec.fire(onOpened, cause{})
	case rec.FollowUp != nil && rec.FollowUp.ID == e.HandoverID:
		rec.FollowUp.Opened = rec.env.now
		rec.say(textByEmail, "")
	}
}

// openingFailed reports whether a step of an opening is given up. Metas, inbox and operator are
// worth having, but no reason to leave the user alone; without a conversation or a first message
// the handover ends.
func (rec *record) openingFailed(e *effect, r result) bool {
	api := apiError(r.err)
	if api == nil || api.Temporary() || e.Unsure { // a failing look-up settles nothing
		rec.again(e, api)
		if e.Kind == kindGreet && !e.Unsure && api != nil && !api.SafeToRetry() {
			e.Unsure = true
			e.Next = latest(e.Next, r.begun.Add(callTimeout))
		}
		if f := rec.FollowUp; f != nil && f.ID == e.HandoverID && e.Attempts >= rec.env.cfg.Limits.Attempts {
			rec.followUpFailed()
		}
		return false
	}
	rec.observe(Activity{Kind: ActivityGivenUp, Effect: string(e.Kind), CrispID: e.Crisp, Err: r.err, Attempt: e.Attempts})
	if e.Kind == kindMetas || e.Kind == kindInbox || e.Kind == kindAssign {
		return true
	}
	if f := rec.FollowUp; f != nil && f.ID == e.HandoverID {
		rec.followUpFailed()
	} else if rec.State == StateOpening && rec.Handover.ID == e.HandoverID {
		rec.fire(onOpenFailed, cause{})
	}
	return true
}

// followUpFailed says that nobody will answer by email after all.
func (rec *record) followUpFailed() {
	rec.say(textOpenFailed, "")
	rec.dropFollowUp(cause{})
}

// choseEmail opens a follow-up, or asks for the address that it needs.
func (rec *record) choseEmail(cause) {
	r := rec.Offer.Request
	if _, ok := validEmail(r.User.Email); !ok {
		rec.Offer.Asking = true
		rec.say(textAskEmail, "")
		return
	}
	rec.dropOpen(cause{})
	rec.FollowUp = rec.newHandover(&r)
	rec.FollowUp.ByEmail = true
	rec.queueOpening(rec.FollowUp)
}

// gaveEmail takes the answer to the question for an address.
func (rec *record) gaveEmail(text string) {
	address, ok := validEmail(text)
	if !ok {
		rec.say(textBadEmail, "")
		return
	}
	rec.Offer.Request.User.Email = address
	rec.choseEmail(cause{})
}
