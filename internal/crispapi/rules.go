package crispapi

import (
	"errors"
	"net/http"
	"slices"
)

// Class says what helps after a call that failed.
type Class string

// The classes of errors.
const (
	Soon   Class = "soon"   // the same call may succeed in a moment
	Later  Class = "later"  // Crisp asked for fewer calls: not before the time that it told
	Person Class = "person" // a person must mend the token or a setting; until then it is tried rarely
	Never  Class = "never"  // repeating it is useless
)

// Extent is how much of Crisp's API a failed call says something about, and so what the breaker
// keeps from being called.
type Extent int

// The extents of errors, the narrowest first.
const (
	OneCall    Extent = iota // nothing but this call: the breaker stays closed
	Trouble                  // Crisp or the network may be in trouble: see breakAfter
	OneTarget                // this operation in this conversation
	OneKind                  // this operation
	Everything               // the website
)

// String says it in the words of docs/errors.md.
func (x Extent) String() string {
	return [...]string{"none", "all, after 8 in a row", "this operation in this conversation", "this operation", "all"}[x]
}

// Rule says of some answers what class they are in. The first rule that fits decides.
type Rule struct {
	Answers string // which, for the documentation
	Class   Class
	Extent  Extent
	Does    string // what the library does, for the documentation
	fits    func(*Error) bool
}

// Rules returns all rules, in the order in which they are tried. docs/errors.md is this table.
func Rules() []Rule { return slices.Clone(rules) }

var rules = []Rule{
	{"the request cannot be built, such as from content that is not JSON", Never, OneCall,
		"gives up, and reports it", func(e *Error) bool { return errors.Is(e.Err, errBuild) }},
	{"402; `subscription_upgrade_required`", Never, OneCall,
		"leaves out what the plan does not have", refused((*Error).NotOnPlan)},
	{"429, 420", Later, Everything,
		"calls nothing of the website for 2 s, doubling to 5 min, and not before the time in `Retry-After`. Then one call tries", status(429, 420)},
	{"423, such as `quota_limit_exceeded`", Later, Everything,
		"as for 429, and for a minute at least", status(423)},
	{"`token_scope_forbidden`, `restricted_route_tier`", Person, OneKind,
		"makes no call of this kind for 1 min, doubling to 1 h; other calls go on. The error names the scope that is missing", reason("token_scope_forbidden", "restricted_route_tier")},
	{"401; `invalid_session`", Person, Everything,
		"calls nothing of the website for 1 min, doubling to 1 h. Then one call tries. The error says what to check",
		refused(func(e *Error) bool { return e.StatusCode == http.StatusUnauthorized || e.Reason == "invalid_session" })},
	{"`not_subscribed`, `website_not_found`, `website_member_role_not_allowed`", Person, Everything,
		"as for 401", reason("not_subscribed", "website_not_found", "website_member_role_not_allowed")},
	{"any other 403, such as `not_allowed`", Person, OneTarget,
		"makes no call of this kind about this conversation for 1 min, doubling to 1 h; about none once 3 conversations were refused in a row. It is never taken for what the plan lacks", status(403)},
	{"404", Soon, OneCall,
		"tries again within seconds, since Crisp may answer from a cache; asks for the conversation and for the website before it takes a conversation for removed", status(404)},
	{"408, 425", Soon, Trouble,
		"as for no answer", status(408, 425)},
	{"400, 409, 413, 422 and every other 4xx", Never, OneCall,
		"gives up, and reports it", func(e *Error) bool { return e.StatusCode >= 400 && e.StatusCode < 500 }},
	{"5xx", Soon, Trouble,
		"as for no answer. After 5xx it is unknown whether a message was posted: Crisp's log is asked before it is posted again", func(e *Error) bool { return e.StatusCode >= 500 }},
	{"any other answer than Crisp documents: 1xx, 3xx, HTML, `{}`, `\"error\": true` with 200, data of another shape", Soon, Trouble,
		"as for 5xx: nothing is taken for done that Crisp does not say is done", func(e *Error) bool { return e.StatusCode != 0 }},
	{"no answer: not connected, cut, or none within 10 s", Soon, Trouble,
		"tries again within seconds. After 8 failures in a row it calls nothing of the website (or nothing of this kind, where no call of another kind failed) for 5 s, doubling to 1 min. Then one call tries", func(*Error) bool { return true }},
}

// ruleOf returns the rule for an error.
func ruleOf(e *Error) *Rule {
	for i := range rules {
		if rules[i].fits(e) {
			return &rules[i]
		}
	}
	return &rules[len(rules)-1] // fits all
}

// refused limits a rule to answers of 4xx: a reason that comes with another status is not what Crisp
// documents.
func refused(fits func(*Error) bool) func(*Error) bool {
	return func(e *Error) bool { return e.StatusCode >= 400 && e.StatusCode < 500 && fits(e) }
}

func reason(words ...string) func(*Error) bool {
	return refused(func(e *Error) bool { return slices.Contains(words, e.Reason) })
}

func status(codes ...int) func(*Error) bool {
	return func(e *Error) bool { return slices.Contains(codes, e.StatusCode) }
}
