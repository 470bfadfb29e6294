package handover

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/times"
)

// userMessage is what became of one message of the user.
type userMessage struct {
	ID     string        `json:"id"` // "" in one of which little was kept
	Hash   string        `json:"hash"`
	Status messageStatus `json:"status"`
	Epoch  int64         `json:"epoch"`
	At     time.Time     `json:"at"`
	// Incoming is kept until the message is answered or in Crisp.
	Incoming *Incoming `json:"incoming,omitempty"`
	// Waits is until when a Receive waits to hear what becomes of the message, by the store's clock;
	// it is renewed while that process lives. Zero: nobody waits.
	Waits time.Time `json:"waits,omitzero"`
	// Handover is the one that was to pass the message on while it ran; "" if there was none.
	Handover string `json:"handover,omitempty"`
	Fault    string `json:"fault,omitempty"` // why it cannot be passed on

	// Edits is the id of the message that an edit is about, and Edited when it was made, if the channel says.
	Edits  string    `json:"edits,omitempty"`
	Edited time.Time `json:"edited,omitzero"`

	Managed  bool      `json:"managed,omitzero"`  // Handle took it
	Attempts int       `json:"attempts,omitzero"` // to have the bot answer it
	Since    time.Time `json:"since,omitzero"`    // of the first of them
	Next     time.Time `json:"next,omitzero"`     // not to be handed on, or answered, before
	Failed   string    `json:"failed,omitempty"`  // why the bot's last answer failed, in a word
	// Given is until when a caller of Receive has the message to answer it: nobody else gets it before.
	Given time.Time `json:"given,omitzero"`

	short shortID // of the ID, where that was not kept or shortID was asked for
}

// shortID tells the ids of one conversation's messages apart.
type shortID [6]byte

func shortIDOf(id string) (short shortID) {
	sum := sha256.Sum256([]byte(id))
	copy(short[:], sum[:])
	return short
}

// shortID is that of the ID. It is made once: a record is written several times for a message.
func (m *userMessage) shortID() shortID {
	if m.short == (shortID{}) {
		m.short = shortIDOf(m.ID)
	}
	return m.short
}

// messageStatus is what became of a message of the user.
type messageStatus string

const (
	messageWaiting  messageStatus = "waiting"  // Handle took it; its turn has not come
	messageTurn     messageStatus = "turn"     // the bot is to answer it
	messageAnswered messageStatus = "answered" // a Reply or Start for it returned nil
	messagePosting  messageStatus = "posting"  // on its way to Crisp
	messagePosted   messageStatus = "posted"   // Crisp has it
	messageKept     messageStatus = "kept"     // muted: kept for a handover that may come
	messageTaken    messageStatus = "taken"    // an answer to a question of ours
	messageRefused  messageStatus = "refused"  // Crisp will never take it
	messageEdited   messageStatus = "edited"   // an edit whose words another message has, or that nobody needs
)

// userMessages are the user's messages that are remembered, the newest last.
type userMessages []*userMessage

// find returns what became of the message with this id, or nil.
func (all userMessages) find(id string) *userMessage {
	short := shortIDOf(id)
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		if m.ID == "" && m.short == short {
			m.ID = id
		}
		if m.ID == id {
			return m
		}
	}
	return nil
}

const (
	// maxUserMessages bounds how many messages are remembered; channels repeat a message within
	// minutes, not after this many others.
	maxUserMessages = 48
	// maxWords bounds how many messages are kept word by word until somebody has answered them.
	maxWords = 32
)

// trim keeps the list within its bounds. What is on its way is always kept; words that wait for the
// bot's answer, or for a handover, only of the newest.
func (all *userMessages) trim() {
	all.trimEdits()
	extra, words := len(*all)-maxUserMessages, 0
	for i := len(*all) - 1; i >= 0; i-- {
		m := (*all)[i]
		if m.Incoming == nil || m.Status == messagePosting || m.inHand() {
			continue
		}
		if words++; words > maxWords {
			m.done(messageAnswered)
		}
	}
	*all = slices.DeleteFunc(*all, func(m *userMessage) bool {
		drop := extra > 0 && m.Status != messagePosting && !m.inHand()
		if drop {
			extra--
		}
		return drop
	})
}

// settled reports whether a message need only be known again when the channel repeats it.
func (m *userMessage) settled() bool {
	return m != nil && m.Incoming == nil && m.Fault == "" && m.Edits == "" && slices.Contains(settledStatuses, m.Status)
}

// settledStatuses are the statuses of settled messages, in the order of their codes in records.
var settledStatuses = []messageStatus{messageAnswered, messagePosted, messageTaken, messageRefused, messageEdited}

// Settled messages stand in runs that are alike: how many, their status, and the last byte of their epoch; then of
// each six bytes of its id, and four of its content.
const headSize, packedSize = 3, 10

// pack returns what is kept of the settled messages.
func (all userMessages) pack() (packed []byte) {
	head := -1
	for _, m := range all {
		if !m.settled() {
			continue
		}
		status, epoch := byte(slices.Index(settledStatuses, m.Status)), byte(m.Epoch)
		if packed == nil {
			packed = make([]byte, 0, headSize+len(all)*packedSize)
		}
		if head < 0 || packed[head] == math.MaxUint8 || packed[head+1] != status || packed[head+2] != epoch {
			head, packed = len(packed), append(packed, 0, status, epoch)
		}
		packed[head]++
		packed = m.pack(packed)
	}
	return packed
}

// pack appends what is kept of one of them.
func (m *userMessage) pack(to []byte) []byte {
	var room, content [4]byte
	short := m.shortID()
	hash, _ := hex.AppendDecode(room[:0], []byte(m.Hash[:min(len(m.Hash), 2*len(room))]))
	copy(content[:], hash)
	return append(append(to, short[:]...), content[:]...)
}

// unpack adds the messages of a text that MarshalJSONTo wrote.
func (all *userMessages) unpack(text string) error {
	packed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return errPacked
	}
	messages := make([]userMessage, 0, len(packed)/packedSize)
	for len(packed) > 0 {
		if len(packed) < headSize {
			return errPacked
		}
		n, code, epoch := int(packed[0]), int(packed[1]), int64(packed[2])
		packed = packed[headSize:]
		if n == 0 || code >= len(settledStatuses) || len(packed) < n*packedSize {
			return errPacked
		}
		for ; n > 0; n-- {
			m := userMessage{Hash: hex.EncodeToString(packed[6:packedSize]), Status: settledStatuses[code], Epoch: epoch}
			copy(m.short[:], packed)
			messages, packed = append(messages, m), packed[packedSize:]
		}
	}
	for i := range messages {
		*all = append(*all, &messages[i])
	}
	return nil
}

var errPacked = errors.New("the user's messages cannot be read")

// MarshalJSONTo writes the settled messages as one text, and the others after it.
func (all userMessages) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	if packed := all.pack(); len(packed) > 0 {
		if err := enc.WriteValue(append(base64.RawStdEncoding.AppendEncode(append(enc.AvailableBuffer(), '"'), packed), '"')); err != nil {
			return err
		}
	}
	for _, m := range all {
		if m.settled() {
			continue
		}
		if err := json.MarshalEncode(enc, m); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}

// UnmarshalJSONFrom reads what MarshalJSONTo wrote.
func (all *userMessages) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch start, err := dec.ReadToken(); {
	case err != nil || start.Kind() == 'n':
		return err
	case start.Kind() != '[':
		return errors.New("the user's messages are no list")
	}
	for dec.PeekKind() != ']' {
		if dec.PeekKind() != '"' {
			m := new(userMessage)
			if err := json.UnmarshalDecode(dec, &m); err != nil {
				return err
			}
			*all = append(*all, m)
			continue
		}
		text, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := all.unpack(text.String()); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// recount gives the messages of which little was kept their whole epochs: the newest that fit the last
// byte. now is the conversation's.
func (all userMessages) recount(now int64) {
	for _, m := range all {
		if m != nil && m.ID == "" {
			m.Epoch = now - int64(byte(now)-byte(m.Epoch))
		}
	}
}

// done gives a message its last status: its words are not needed any more.
func (m *userMessage) done(s messageStatus) {
	*m = userMessage{ID: m.ID, Hash: m.Hash, Status: s, Epoch: m.Epoch, At: m.At, Fault: m.Fault, Edits: m.Edits, Edited: m.Edited, short: m.short}
}

// heard notes that a Receive has come for a message, and waits if that is on its way.
func (m *userMessage) heard(rec *record) {
	m.Waits = time.Time{}
	if m.Status == messagePosting {
		m.Waits = rec.env.now.Add(claims.TTL)
	}
}

// waited notes that no Receive waits for a message any more. heard says whether its turn was handed out:
// if not, nobody has a message which an end gave back to the bot, and the user must send it again.
func (rec *record) waited(m *userMessage, heard bool) {
	m.Waits = time.Time{}
	if m.Status == messageTurn && !heard {
		rec.unsent(m)
		rec.say(textNotSent, "")
	}
	rec.holdEnds(rec.UserMessages)
}

// unsent notes that a handover did not pass a message on, and that nobody answers it. OnEnd tells of it,
// unless the host has heard of that end already.
func (rec *record) unsent(m *userMessage) {
	add := func(to *[]string) {
		if id := m.hostID(); !slices.Contains(*to, id) {
			*to = append(slices.Clone(*to), id)
		}
	}
	if m.Handover == "" {
		return
	}
	if ho := rec.handoverOf(m.Handover); ho != nil {
		add(&ho.Unsent)
	}
	for _, e := range rec.ToUser {
		if e.Kind == kindOnEnd && e.HandoverID == m.Handover {
			add(&e.Summary.Unsent)
		}
	}
}

// trace is the trace context of a message whose words are kept.
func (all userMessages) trace(id string) string {
	if m := all.find(id); m != nil && m.Incoming != nil {
		return m.Incoming.TraceParent
	}
	return ""
}

// answered notes that the bot has answered the message with this id, if it was to.
func (all userMessages) answered(id string) {
	if m := all.find(id); m != nil && (m.Status == messageTurn || m.Status == messageKept) {
		m.done(messageAnswered)
	}
}

// waits is until when it is open whether all turns were heard of which this handover gave back, or any
// handover if it is ""; zero when it is known.
func (all userMessages) waits(handover string) (until time.Time) {
	for _, m := range all {
		if m.Status == messageTurn && (handover == "" || m.Handover == handover) {
			until = times.Later(until, m.Waits)
		}
	}
	return until
}

// takeIn finds a message of the user, or takes it in: as the newest, without a status if it is to be accepted or enqueued. waits says
// that it would be one of those that Limits.Waiting bounds.
func (rec *record) takeIn(m Incoming, hash string, size int, waits bool) (in *userMessage, known bool, err error) {
	if m.Edits != "" {
		in, known, err = rec.takeEdit(&m, hash, size)
	} else if in = rec.UserMessages.find(m.ID); in != nil {
		known, err = true, in.repeats(hash)
	} else {
		in = rec.newMessage(&m, hash)
	}
	if err == nil && !known && in.Status == "" && waits && rec.crowded(max(size, m.size()), nil) {
		err = ErrCrowded
	}
	return in, known, err
}

// repeats returns ErrIDReused unless a message with this hash is the same.
func (m *userMessage) repeats(hash string) error {
	if m.Hash != hash {
		return ErrIDReused
	}
	return nil
}

// newMessage takes a message that is not known. It is over at once if an edit that came before it is on its way.
func (rec *record) newMessage(m *Incoming, hash string) *userMessage {
	m.At = plausibleTime(m.At, rec.env.now)
	in := &userMessage{ID: m.ID, Hash: hash, Epoch: rec.Epoch, At: rec.env.now, Incoming: m}
	if rec.UserMessages.overtaken(m) {
		in.done(messageEdited)
	}
	rec.UserMessages, rec.Touched = append(rec.UserMessages, in), rec.env.now
	return in
}

// accept decides what becomes of a new message of the user.
func (rec *record) accept(in *userMessage) {
	rec.fire(onUser, cause{})
	in.Epoch = rec.Epoch
	if in.Edits != "" && rec.reword(rec.UserMessages.find(in.Edits), in.Incoming) { // it was given back meanwhile
		in.done(messageEdited)
		return
	}
	switch rec.State {
	case StateBot:
		if in.Edits != "" {
			rec.editForNobody(in)
			return
		}
		if rec.Offer != nil && rec.takeChoice(in) {
			in.done(messageTaken)
			return
		}
		in.Status = messageTurn
	case StateMuted:
		in.Status = messageKept
	default:
		rec.takeForAgent(in)
	}
}

// takeForAgent passes a message on: as the user's wish to leave, as the answer to an agent's
// question, or as it is.
func (rec *record) takeForAgent(in *userMessage) {
	// Writing again and again to an agent who keeps silent does not put off the question after it.
	if ho := rec.Handover; !ho.Unanswered || !ho.AskedIdle.Before(ho.LastWord) {
		ho.LastWord, ho.Unanswered = rec.env.now, true
	}
	if in.Edits != "" { // it chooses nothing
		rec.queuePosts(in, rec.Handover)
		return
	}
	if m := in.Incoming; m.Payload == payloadLeave || means(m.Text, rec.Handover.LeaveTitle) {
		rec.fire(onUserLeft, cause{})
		in.done(messageTaken)
		return
	}
	text := in.Incoming.Text
	if len(in.Incoming.Files) > 0 {
		text = "" // a file is no choice
	}
	if q, i, ok := rec.Pickers.Choose(in.Incoming.Payload, text); ok && q.Crisp == rec.Handover.CrispID && rec.queueAnswer(in, q, i) {
		return
	}
	rec.queuePosts(in, rec.Handover)
}

// maxClockAhead is how far another clock may be ahead of ours.
const maxClockAhead = time.Hour

// plausibleTime returns when a message was written, as its channel says: at. If that cannot be, since
// it is not set, lies before 1970 or more than an hour ahead, it is now. The result is in UTC, with
// milliseconds, and so can be stored and sent to Crisp whatever at is.
func plausibleTime(at, now time.Time) time.Time {
	if at.Unix() <= 0 || at.Unix() > now.Add(maxClockAhead).Unix() {
		at = now
	}
	return at.UTC().Truncate(time.Millisecond)
}

// maxPost is the longest text that is posted to Crisp as one message, in UTF-16 units: Crisp's own
// import tool cuts there. The true limit is unknown.
const maxPost = 2000

// post is one Crisp message made of what the user sent.
type post struct {
	typ     string
	content jsontext.Value
	marked  bool // as an edit
}

// posts turns a message of the user into Crisp messages: the text in parts, then the files.
func (m *Incoming) posts() []post { return m.split(maxPost) }

// split is posts with texts of at most limit UTF-16 units.
func (m *Incoming) split(limit int) []post {
	var all []post
	text := m.Text
	if textsplit.Blank(text) && len(m.Files) == 0 {
		text = m.Payload
	}
	for _, part := range textsplit.Split(text, limit) {
		all = append(all, post{typ: "text", content: crispcontent.NewText(part)})
	}
	for _, f := range m.Files {
		typ, content := f.content().Message()
		all = append(all, post{typ: typ, content: content})
	}
	return all
}

// size is about how many Crisp messages posts makes, at no great cost: at most twice as many.
func (m *Incoming) size() int { return textsplit.Units(m.Text)/maxPost + 1 + len(m.Files) }

// fault says what a message of the user lacks; "" for nothing.
func (m *userMessage) fault() string {
	switch {
	case m == nil:
		return "a message of the user is null"
	case m.ID == "" && !m.settled():
		return "a message of the user has no id"
	case !slices.Contains([]messageStatus{messageWaiting, messageTurn, messageAnswered, messagePosting, messagePosted, messageKept, messageTaken, messageRefused, messageEdited}, m.Status):
		return "the state of a user's message is none that is known"
	case m.unfinished() && m.Incoming == nil:
		return "a message of the user has lost its words"
	}
	return ""
}

// unfinished reports whether the words of a message are still needed.
func (m *userMessage) unfinished() bool {
	return m.Status == messageWaiting || m.Status == messageTurn || m.Status == messageKept || m.Status == messagePosting
}
