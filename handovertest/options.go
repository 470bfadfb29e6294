package handovertest

import "time"

// HookKind is one of the two kinds of web hooks that Crisp has.
type HookKind int

const (
	// PluginHooks are signed and carry every event.
	PluginHooks HookKind = iota
	// WebsiteHooks are unsigned, carry ?key= in their URL, and fewer events.
	WebsiteHooks
)

// Repeated says what happens to a message with a fingerprint that the conversation has already.
// Nobody knows what Crisp does.
type Repeated int

const (
	// RepeatedStored stores it a second time, so that a double is seen.
	RepeatedStored Repeated = iota
	// RepeatedRefused answers 409.
	RepeatedRefused
	// RepeatedDropped answers as for a new message and stores nothing.
	RepeatedDropped
)

// Blocked says what happens to a message that is posted for a user who is blocked. Nobody knows
// what Crisp does.
type Blocked int

const (
	// BlockedStored stores it like any other.
	BlockedStored Blocked = iota
	// BlockedRefused answers 403.
	BlockedRefused
	// BlockedDropped answers as for a new message and stores nothing.
	BlockedDropped
)

// Options says how the fake behaves. The zero value is a healthy Crisp with a plugin token,
// signed hooks and somebody online.
type Options struct {
	// Tier is the token's: "plugin" (default), "website" or "user".
	Tier string
	// Scopes are the token's, such as "website:conversation:messages:write". A call that needs another one
	// is answered 403 token_scope_forbidden, as one source names it. Nil: no scopes are checked, as of a
	// plugin's development token. Hooks come whatever the scopes are.
	Scopes []string
	// WebsiteID is the website's id; a fixed one by default. Websites are further ones that the
	// same token reaches.
	WebsiteID string
	Websites  []string
	// Operators are the names of the people on the team. A name that is used in a script without
	// being listed joins the team then.
	Operators []string
	// Away starts the website with nobody there.
	Away bool
	// Seed decides the ids. The same seed gives the same ids. New takes a random one for 0.
	Seed uint64

	// Hooks is the kind of hooks sent.
	Hooks HookKind
	// Events are the events sent, as ticked in Crisp's settings. Nil: all that the kind carries.
	Events []string
	// HookPath is the path that in-process hooks are posted to; "/crisp/hooks" by default.
	HookPath string
	// HookAttempts is how often a hook is tried while the answer is 429, 5xx or none; 5 by
	// default. The first retry comes after 1 s, each further one after twice as long. Later hooks
	// do not wait for it.
	HookAttempts int
	// HookTimeout is how long a receiver may take; 10 s by default.
	HookTimeout time.Duration
	// HeaderSeconds gives X-Crisp-Request-Timestamp in seconds instead of milliseconds.
	HeaderSeconds bool
	// KeepSignature repeats a hook with its first timestamp and signature, instead of new ones.
	KeepSignature bool

	// Quotas are how many calls Crisp takes. Nil: any number.
	Quotas []Quota
	// FreePlan refuses notes with 402.
	FreePlan bool
	// DataReplaced makes a PATCH of the metas replace data instead of merging it.
	DataReplaced bool
	// OwnFingerprints ignores the fingerprints that callers choose, and answers with others.
	OwnFingerprints bool
	// Repeated is what happens to a repeated fingerprint.
	Repeated Repeated
	// Blocked is what happens to the messages of a blocked user that are posted over REST.
	Blocked Blocked
	// MaxMessages is how many messages a conversation takes; a further one that is posted over REST
	// is answered 409. 0: any number. Crisp's is known to be at least 10,000.
	MaxMessages int
	// LogLag is how long it takes until reads of the log show a message, whose hook comes before.
	// Whether Crisp's log lags nobody knows.
	LogLag time.Duration
	// PageSize is the number of messages on a page; 20 by default. Nobody knows Crisp's.
	PageSize int
	// ListPageSize is the number of conversations on a page of the list, whatever per_page asks
	// for. 0: as asked for, from 20 to 50, or 20, as Crisp documents.
	ListPageSize int
	// ListOrder is the order of the list; the documented one by default.
	ListOrder ListOrder
	// StateKeepsUpdated leaves updated_at of a conversation, and its place in the list, as they were
	// when only its state changes. By default a change of state raises it, as a message does.
	// Whether it does in Crisp nobody knows.
	StateKeepsUpdated bool
	// MaxText is the longest text or note that a caller may post, in UTF-16 units; 2,000 by
	// default, which is where Crisp's own import tool cuts. -1: no limit.
	MaxText int
	// CutText cuts a longer text at MaxText, instead of refusing it.
	CutText bool
	// RefuseURNs answers 400 to a message whose origin is an URN. Whether any URN is taken from the token of a website
	// nobody knows.
	RefuseURNs bool
	// QuietStealth sends no hook of a message that was posted with the mark stealth. Nobody knows whether Crisp does.
	QuietStealth bool
	// CacheFor lets answers to GET and HEAD, 404 included, be repeated from a cache for that
	// long, by their whole URL. 0: no cache.
	CacheFor time.Duration
	// Ties lets messages of a conversation have the same timestamp. Otherwise Crisp's clock moves
	// at least one millisecond with each, also where time is faked.
	Ties bool
	// Skew is added to Crisp's clock.
	Skew time.Duration
	// EventMessages adds a message of type "event" to the log when an operator resolves or
	// assigns a conversation.
	EventMessages bool

	// Bot is another bot, that answers users in Crisp by itself. Nil: none.
	Bot *Bot
	// Rules are routing rules, run when a user first writes and when segments change later, as
	// long as nobody is assigned.
	Rules []Rule
	// MailAfter is how long an operator's message stays unread before it is mailed to a user
	// whose email is known; 1 minute by default. MailDespiteMarks mails it although it was marked
	// delivered or read. Nobody knows either of Crisp.
	MailAfter        time.Duration
	MailDespiteMarks bool

	// AllowViolations keeps violations from failing the test. They are still in
	// Crisp.Violations.
	AllowViolations bool
}

// withDefaults returns o with its zero fields set.
func (o Options) withDefaults() Options {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&o.Tier, "plugin")
	set(&o.WebsiteID, "7a3c5e10-6f0b-4d55-9c1e-000000000001")
	set(&o.HookPath, "/crisp/hooks")
	if o.HookAttempts == 0 {
		o.HookAttempts = 5
	}
	if o.HookTimeout == 0 {
		o.HookTimeout = 10 * time.Second
	}
	if o.PageSize == 0 {
		o.PageSize = 20
	}
	if o.MaxText == 0 {
		o.MaxText = 2000
	}
	if o.MailAfter == 0 {
		o.MailAfter = time.Minute
	}
	quotas := o.Quotas
	o.Quotas = nil
	for _, q := range quotas {
		o.Quotas = append(o.Quotas, q.withDefaults())
	}
	if o.Bot != nil {
		bot := o.Bot.withDefaults()
		o.Bot = &bot
	}
	return o
}
