package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/crisphandover/handover/internal/worker"
)

// Presence says whether somebody is there to answer.
type Presence string

// What is known of the agents' presence. Crisp's "online" may only mean opening hours.
const (
	PresenceOnline  Presence = "online"
	PresenceAway    Presence = "away"
	PresenceUnknown Presence = "unknown" // Crisp could not be asked, or gave an answer we do not know
)

// Config is what a host tells New. The zero value of a field means its default; -1 means none
// where 0 is the default of a number or a duration. New copies it.
type Config struct {
	// WebsiteID is the Crisp website, a UUID. Required. Conversations that name no website are its
	// own. With another one here, those that the store knows stay on the former one as long as that is
	// named in Websites; else they begin anew. To find out costs a load for each of Websites when such
	// a conversation is new.
	WebsiteID string
	// Websites are further websites that the same token speaks for, as a plugin's does that is
	// installed on several. Conversation.WebsiteID chooses.
	Websites []string
	// Token is the API token. Required.
	Token Token
	// Webhook says which hooks are genuine. Without a secret or a key every hook is refused, and
	// New logs a warning.
	Webhook Webhook

	// Answer has the bot answer a message of the user that Handle took. It says what the bot has to say,
	// in the channel, and returns nil, or a Request to ask for a human: that is stored together with the
	// answer, so that an asking is neither lost nor made twice. It may also ask with Start on its ctx, with
	// the turn t, as an LLM's tool does.
	//
	// It may take minutes. One call at a time is made for a conversation, over all replicas, and none while
	// a human has it or the bot is muted. ctx ends after Timeouts.Answer; and with the cause ErrNotYourTurn
	// when the bot has lost the conversation, such as to an agent who writes. Then say no more, and return:
	// if Answer returned an error the agent gets the message. One that has not returned Timeouts.Reply
	// after the end of its ctx is abandoned, as if it had failed.
	//
	// An error repeats the call, with pauses that grow to a minute; so does a crash, within 45 s. Turn.Attempt
	// counts the calls: from 2 on the bot may have said something already. After Timeouts.Unanswered, from
	// the first call, the library asks for a human in the bot's place (Texts.NoteUnanswered), who gets the
	// message; if nobody is there, the user is told so (NoAgent), and the next message has its turn. Both is
	// reported to Observe. ErrUserAway repeats nothing and asks for nobody: neither could reach the user.
	Answer func(ctx context.Context, t Turn, m Incoming) (*Request, error)
	// Deliver shows a message to the user, and returns the channel's id of it, if there is one.
	// Required. A nil error means shown; ErrUserAway that the user is gone; an error that wraps
	// errors.ErrUnsupported that the channel cannot show such a message: it is tried once more
	// as plain text, then the agents are told. Both are answers, and no faults. Anything else is tried
	// again, with the same Message.ID and a larger Attempt, and pauses that grow to a minute, for
	// Timeouts.Deliver in all; RetryAfter says when. Then it is given up, and the agents are told. Calls
	// for one conversation never overlap; ctx ends after Timeouts.Callback. A call that has not returned a
	// second later has failed, and nobody waits for it any more: such a one may still run during the next.
	Deliver func(ctx context.Context, s Session, m Message) (channelID string, err error)
	// Revise edits or removes a message that was shown (Revision.Message.ChannelID), for channels
	// that can. Without it an edit is delivered as a correction (Message.Corrects), and a removal
	// is ignored. An error that wraps errors.ErrUnsupported falls back to that for one message.
	Revise func(ctx context.Context, s Session, r Revision) error
	// OnEnd is called when a handover has ended and the bot may speak again, at least once for
	// each handover, always with the same Summary.HandoverID. An error repeats the call, ever more
	// rarely, until Timeouts.Late has passed.
	OnEnd func(ctx context.Context, s Session, sum Summary) error
	// Presence has the last word on whether somebody is there: opening hours, a queue that is
	// full. It gets what Crisp says. Default: what Crisp says.
	Presence func(ctx context.Context, s Session, p Presence) Presence
	// Transcript returns the bot conversation for the history page, oldest message first.
	// Required with History.URL. ctx ends after 10 s; a call that has not returned a second later is not
	// waited for.
	Transcript func(ctx context.Context, c Conversation) ([]Message, error)
	// HistoryHead returns what stands above the messages on the history page, such as user data and
	// the reason. The value of a field "Name" is the page's title. The link is all that protects the page:
	// nothing by default. Its ctx is that of Transcript.
	HistoryHead func(ctx context.Context, c Conversation) ([]HistoryField, error)
	// OpenFile opens a file that the user sent (File.ID), for agents who follow a link of Files. ctx ends when
	// nobody reads any more; OpenFile has 10 s, after which it is not waited for. Required with Files.URL.
	OpenFile func(ctx context.Context, c Conversation, id string) (OpenedFile, error)
	// Texts returns what the library says in a conversation; use Session.Locale to choose a
	// language. It must return at once: where it hangs for a second, or panics, DefaultTexts stand in.
	// Default: DefaultTexts.
	Texts func(s Session) Texts
	// AgentTyping shows the user that an agent is typing, or no longer. Only plugin hooks tell, and one
	// may be lost: let the sign vanish after some seconds, and with the agent's message. It is called for one
	// sign of a conversation at a time, for at most Timeouts.Callback; of those that come meanwhile the
	// newest follows.
	AgentTyping func(ctx context.Context, s Session, t AgentTyping)
	// Observe is told of everything that happens, once it is stored; Activity.N has the order. It
	// must return at once: while some calls hang no more are made. Activities hold ids and durations,
	// never words of people.
	Observe func(ctx context.Context, a Activity)
	// TraceParent returns the trace context of ctx, a W3C traceparent, or "". It is asked on the contexts of Handle,
	// Receive, Start, ServeHTTP and HandleEvent, and must return at once. The library keeps it with the message, and gives it back in
	// Activity, Incoming and Message: so a trace goes on in other processes. Module handoverotel has one.
	TraceParent func(ctx context.Context) string

	// Sources are the channels on which Start is allowed (Conversation.Source). Empty allows all. They do not
	// divide a store: see Store.
	Sources []string
	// NoAgent is what the user sees when nobody is there; Request.NoAgent has the last word.
	// Default: NoAgentText, else the connector's own example, DefaultNoAgent. A quick reply of type
	// "user_email" asks for the user's address, and is the wish for an answer by email.
	NoAgent []RichMessage
	// NoAgentText is NoAgent as the connector's console took it: plain text, or the JSON of one
	// message or of a list. Used when NoAgent is empty.
	NoAgentText string
	// Choices are the quick replies of NoAgent that the library acts on.
	Choices Choices
	// Timeouts are the deadlines of every handover; Request.Timeouts overrides them for one.
	Timeouts Timeouts
	// History is the link to the bot conversation's history. Without a URL there is no link.
	History History
	// Files are the links to files that only the bot can open, such as those of Telegram. Without a URL such a file
	// is refused.
	Files FileLinks
	// Policy answers open questions; Limits bound what the library takes on.
	Policy Policy
	Limits Limits

	// Store keeps the state. Default: a new MemoryStore, with which all promises end with the
	// process; New says so in the log. Set &MemoryStore{} to say that you mean it. A store is of one bot: any process on it
	// calls its own Deliver and Answer for whatever conversation is due. Another bot needs another store, such as
	// tables of its own.
	Store Store
	// Logger gets faults that nobody is waiting for, without words and secrets. Default: slog.Default. Its handler must
	// return at once: work on a conversation waits for it.
	Logger *slog.Logger
	// HTTPClient makes the calls to Crisp. Its CheckRedirect is replaced: redirects are not
	// followed, since a 307 would repeat a message together with the token. Default: a client of
	// its own. Without a Transport it has a copy of http.DefaultTransport that keeps more connections.
	HTTPClient *http.Client
	// BaseURL is Crisp's API. Default: https://api.crisp.chat/v1/.
	BaseURL string
	// Origin marks our messages in Crisp. A plugin sets its URN, "urn:account:plugin:0". Default:
	// "chat". It is unknown whether Crisp takes a URN from a website token.
	Origin string
}

// Policy is how a host wants open questions answered.
type Policy struct {
	// RefuseUnknown treats an unknown presence as nobody there. By default a handover is tried:
	// a wrong guess costs waiting, a wrong refusal the help that was there.
	RefuseUnknown bool
	// Bots are origins of other bots in the inbox, "*" standing for any ending. Their messages
	// are never shown and are no human sign. Default: "urn:crisp.im:bot:*", Crisp's own bots;
	// "urn:crisp.im:triggers:*", which write as an operator that nobody is; and "local", messages
	// that only Crisp's chatbox makes.
	Bots []string
	// DeliverUser delivers what the user writes to Crisp outside the bot's channel, such as an
	// answer to a mail, as messages from FromUser.
	DeliverUser bool
	// Email says when Crisp gets the user's email, and so may mail agents' answers. Whether our
	// read marks stop such a mail is unknown.
	Email EmailPolicy
	// NoteFallback says where notes for agents go on plans without notes.
	NoteFallback NoteFallback
	// NoMarks leaves out the delivered and read marks of shown messages: two calls less for each
	// burst of them.
	NoMarks bool
	// ClaimOnAssign takes an assignment to an operator for a human sign. It needs the event
	// session:set_routing, which only plugin hooks have. Off by default: rules
	// assign with nobody there.
	ClaimOnAssign bool
	// AskRating has Crisp ask the user for a rating after a resolved handover in which a human
	// answered. The answer reaches Observe, where Crisp tells of it.
	AskRating bool
	// LocalFiles lets files pass whose URL leads to this machine or to a private network, for development: neither
	// Crisp nor its agents can open them elsewhere.
	LocalFiles bool
	// NoTakeover delivers what an agent writes while the bot owns the conversation, and leaves
	// it with the bot.
	NoTakeover bool
}

// EmailPolicy says when Crisp is given the user's email address.
type EmailPolicy string

// The email policies.
const (
	EmailAlways   EmailPolicy = ""          // with the other data, as the connector does
	EmailWhenAway EmailPolicy = "when_away" // when Deliver first answers ErrUserAway
	EmailNever    EmailPolicy = "never"     // never as the email; it is shown among the data
)

// NoteFallback says what becomes of a note that Crisp refuses, as it does on its free plan.
type NoteFallback string

// The fallbacks for notes.
const (
	NoteDropped NoteFallback = ""     // agents are not told
	NoteInData  NoteFallback = "data" // the note becomes the data "handover_note"
)

// Limits bound what the library takes on.
type Limits struct {
	// Workers is how many conversations of one channel (Conversation.Source) are worked on at the
	// same time, in each direction; all channels together have a quarter more. Default: 128.
	Workers int
	// Answers is how many calls of Config.Answer of one channel a process makes at the same time; all
	// channels together have a quarter more. Default: 256.
	Answers int
	// Queue is how many conversations may wait for a worker; beyond it hooks are answered 503.
	// Default: 10,000.
	Queue int
	// CreatesPerMinute paces the conversations made in Crisp, over all replicas. Crisp's own
	// import tool keeps to 25 on the Essentials plan. Default: 25; -1: not paced.
	CreatesPerMinute int
	// DailyCalls is the token's quota of calls to Crisp a day. Catch-up takes at most a tenth of
	// it, which bounds how late a hook is noticed that never came: every 3 minutes with 5,000.
	// Default: 10,000 with TierWebsite, else 5,000, as Crisp documents.
	DailyCalls int
	// Attempts is how often a note, a mark or the like is tried before it is given up. Default: 8.
	Attempts int
	// Text is the longest text that Receive takes, in bytes. Default: 100,000.
	Text int
	// Files is how many files a message of the user may have. Default: 20.
	Files int
	// Waiting is how many messages of one conversation may wait for the bot's answer, or to be posted to
	// Crisp, a text counting once for each 2,000 characters, and a file once. Beyond it Receive and Handle
	// return ErrCrowded. Default: 100.
	Waiting int
}

// traceOf is the trace context that TraceParent finds in ctx; "" if there is none, or none that is valid.
func (c *Config) traceOf(ctx context.Context) (trace string) {
	if c.TraceParent != nil {
		worker.Guard(func(stack string) {
			c.Logger.Error("handover: Config.TraceParent panicked", "stack", stack)
		}, func() { trace = validTrace(c.TraceParent(ctx)) })
	}
	return trace
}

const (
	defaultBaseURL = "https://api.crisp.chat/v1/"
	defaultOrigin  = "chat"
)

// prepare returns a copy of c with its defaults, or an error that names every bad field.
func (c Config) prepare() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	c.refuse(fault)
	if !isUUID(c.WebsiteID) {
		fault("WebsiteID must be the website's UUID in lower case, as Crisp's setup instructions show it")
	}
	c.Websites = slices.Clone(c.Websites)
	if i := slices.IndexFunc(c.Websites, func(id string) bool { return !isUUID(id) || id == c.WebsiteID }); i >= 0 {
		fault("Websites[%d] must be the UUID of another website than WebsiteID, in lower case", i)
	}
	for i, id := range c.Websites {
		if slices.Contains(c.Websites[:i], id) {
			fault("Websites[%d] is there twice: leave it out", i)
		}
	}
	c.Token.check(fault)
	if c.Deliver == nil {
		fault("Deliver must be set: it shows messages to the user")
	}
	var err error
	if c.Webhook, err = c.Webhook.prepare(append([]string{c.WebsiteID}, c.Websites...)); err != nil {
		faults = append(faults, err)
	}
	if err := c.prepareNoAgent(); err != nil {
		faults = append(faults, err)
	}
	if err := c.Timeouts.prepare(); err != nil {
		faults = append(faults, err)
	}
	c.History.links().Faults("History", fault)
	c.Files.links().Faults("Files", fault)
	if c.History.URL != "" && c.Transcript == nil {
		fault("Transcript must be set when History.URL is: the page shows what it returns")
	}
	if err := c.prepareURL(); err != nil {
		faults = append(faults, err)
	}
	c.Sources = slices.Clone(c.Sources)
	c.History.OldSigningKeys = slices.Clone(c.History.OldSigningKeys)
	c.Files.prepare(c.OpenFile != nil, fault)
	c.Policy.prepare(fault)
	c.Limits.prepare(c.Token.Tier, fault)
	if c.Origin == "" {
		c.Origin = defaultOrigin
	}
	if c.Store == nil {
		c.Store = &MemoryStore{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if len(faults) > 0 {
		return Config{}, fmt.Errorf("handover: config: %w", errors.Join(faults...))
	}
	return c, nil
}

// prepare fills in the defaults, and names the values that nothing is known by.
func (p *Policy) prepare(fault func(string, ...any)) {
	if p.Bots = slices.Clone(p.Bots); p.Bots == nil {
		p.Bots = []string{"urn:crisp.im:bot:*", "urn:crisp.im:triggers:*", "local"}
	}
	p.refuse(fault)
	switch p.Email {
	case EmailAlways, EmailWhenAway, EmailNever:
	default:
		fault("Policy.Email must be EmailAlways, EmailWhenAway or EmailNever")
	}
	switch p.NoteFallback {
	case NoteDropped, NoteInData:
	default:
		fault("Policy.NoteFallback must be NoteDropped or NoteInData")
	}
}

func (c *Config) prepareNoAgent() error {
	given := c.Choices
	if c.Choices.Email == "" {
		c.Choices.Email = defaultChoiceEmail
	}
	if c.Choices.Bot == "" {
		c.Choices.Bot = defaultChoiceBot
	}
	var err error
	if c.NoAgent, err = completed("NoAgent", c.NoAgent); err != nil {
		return err
	}
	switch {
	case len(c.NoAgent) > 0:
	case c.NoAgentText == "":
		c.NoAgent = DefaultNoAgent()
	default:
		if c.NoAgent, err = ParseRichMessages(c.NoAgentText); err != nil {
			return fmt.Errorf("NoAgentText: %w", err)
		}
	}
	if err := given.check(c.NoAgent); err != nil {
		return err
	}
	if means(c.Choices.Email, c.Choices.Bot) {
		return errChoicesAlike
	}
	return nil
}

func (c *Config) prepareURL() error {
	if c.BaseURL == "" {
		c.BaseURL = defaultBaseURL
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("BaseURL must be an http or https URL, without a user name, password, query or fragment: leave it empty for Crisp's")
	}
	if !strings.HasSuffix(c.BaseURL, "/") {
		c.BaseURL += "/"
	}
	return nil
}

// quota is what Crisp documents for a token, in calls a day.
func quota(t Tier) int {
	if t == TierWebsite {
		return 10_000
	}
	return 5_000
}

func (l *Limits) prepare(tier Tier, fault func(string, ...any)) {
	for _, f := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"Workers", &l.Workers, 128},
		{"Answers", &l.Answers, 256},
		{"Queue", &l.Queue, 10_000},
		{"DailyCalls", &l.DailyCalls, quota(tier)},
		{"Attempts", &l.Attempts, 8},
		{"Text", &l.Text, 100_000},
		{"Files", &l.Files, 20},
		{"Waiting", &l.Waiting, 100},
	} {
		if *f.value == 0 {
			*f.value = f.standard
		}
		if *f.value < 0 {
			fault("Limits.%s is %d: write a positive number, or leave it out for %d", f.name, *f.value, f.standard)
		}
	}
	switch {
	case l.CreatesPerMinute == 0:
		l.CreatesPerMinute = 25
	case l.CreatesPerMinute < -1:
		fault("Limits.CreatesPerMinute is %d: write a positive number, -1 for no pace, or leave it out for 25", l.CreatesPerMinute)
	}
}

// speaksFor reports whether the token speaks for a website.
func (c *Config) speaksFor(website string) bool {
	return website == c.WebsiteID || slices.Contains(c.Websites, website)
}

// allows reports whether handovers may start on this source.
func (c *Config) allows(source string) bool {
	return len(c.Sources) == 0 || slices.Contains(c.Sources, source)
}

// isBot reports whether a message with this origin comes from another bot.
func (p *Policy) isBot(origin string) bool {
	return slices.ContainsFunc(p.Bots, func(pattern string) bool {
		if stem, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(origin, stem)
		}
		return origin == pattern
	})
}

// validWebsiteID keeps anything that could change a path out of URLs, and capitals, which are not those
// of the ids in hooks.
func validWebsiteID(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "0123456789abcdef-") == ""
}
