// Package quota says how many handovers a token's daily quota of calls carries. A test counts the same on a fake
// Crisp, and docs/scale.md shows the table.
package quota

// Crisp's default quotas, in calls a day.
const (
	Plugin  = 5_000
	Website = 10_000
)

// What the library spends in calls, when all goes well and all hooks come.
const (
	opening  = 3 // create, metas, opening message
	message  = 1 // of the user, of up to 2,000 characters, or an edit
	read     = 1 // of Crisp's log, for an agent's message or a burst of them
	marks    = 2 // delivered, and read
	resolved = 1 // read the log; the messages for the Summary come in pages besides

	// pageSize is how many messages Crisp shows at once. It is not documented; this is what the fake shows.
	pageSize = 20
)

// Talk is one handover, from its asking until an agent resolves it.
type Talk struct {
	User, Agent int  // messages; agents' that come in one burst count once
	Note        bool // Request.Note
	NoMarks     bool // Policy.NoMarks
}

// Calls is what the talk costs.
func (t Talk) Calls() int {
	each := read + marks
	if t.NoMarks {
		each = read
	}
	calls := opening + t.User*message + t.Agent*each + resolved
	inLog := 1 + t.User + t.Agent // with the opening message
	if t.Note {
		calls++
		inLog++
	}
	return calls + (inLog+pageSize-1)/pageSize
}

// CatchUp is the most that catch-up takes of a quota, to find what no hook told of.
func CatchUp(quota int) int { return quota / 10 }

// Talks is how many talks a quota carries in a day, beside catch-up, whatever else fails.
func (t Talk) Talks(quota int) int { return (quota - CatchUp(quota)) / t.Calls() }

// Needs is the quota that so many talks a day need.
func (t Talk) Needs(talks int) int { return (talks*t.Calls()*10 + 8) / 9 }
