package systemtest

import (
	"fmt"
	"strings"

	"github.com/crisphandover/handover"
)

// What happens, in the words of the model.
const (
	evStart, evNobody, evMute                  = "start", "start, nobody there", "mute"
	evOpened, evOpenFails                      = "opened", "opening fails"
	evUser, evHuman, evLate                    = "user writes", "human writes", "human wrote before the end"
	evAssigned, evResolved, evReopened         = "assigned", "resolved", "reopened"
	evEnd, evUserLeft, evRemoved, evBlocked    = "host ends", "user leaves", "removed", "blocked"
	evRemind, evClaim, evQuiet, evIdle         = "remind", "claim", "quiet", "idle"
	evMax, evRelay                             = "max", "relay"
	evEmail, evBot, evOfferOver, evFollowOver  = "choice: email", "choice: bot", "offer expires", "follow-up expires"
	evNote, evOtherBot, evRepeated, evStale    = "note", "another bot writes", "hook repeated", "stale turn"
	evDown, evEdit, evRepeatedMessage, evReply = "crisp is down", "edit or removal", "message repeated", "bot speaks"
)

// modelTable is the table of design.md section 5, written apart from the one that the code runs: who
// owns the conversation after an event, and the end's reason. A dot: it stays. Where an event only
// leads on under a condition, the condition is beside the event's rule in model_rules_test.go.
const modelTable = `
event                      | bot     | muted   | opening          | waiting            | active
start                      | opening | opening | .                | .                  | .
start, nobody there        | .       | bot     | .                | .                  | .
mute                       | muted   | .       | .                | .                  | .
opened                     | .       | .       | waiting          | .                  | .
opening fails              | .       | .       | bot: open_failed | .                  | .
user writes                | .       | .       | .                | .                  | .
human writes               | active  | active  | .                | active             | .
human wrote before the end | .       | .       | .                | .                  | .
assigned                   | .       | .       | .                | active             | .
resolved                   | .       | .       | .                | bot: resolved      | bot: resolved
reopened                   | .       | .       | .                | .                  | .
host ends                  | .       | bot     | bot: host_ended  | bot: host_ended    | bot: host_ended
user leaves                | .       | bot     | bot: user_left   | bot: user_left     | bot: user_left
removed                    | .       | .       | bot: removed     | bot: removed       | bot: removed
blocked                    | .       | .       | bot: blocked     | bot: blocked       | bot: blocked
remind                     | .       | .       | .                | .                  | .
claim                      | .       | .       | .                | bot: claim_timeout | .
quiet                      | .       | .       | .                | .                  | .
idle                       | .       | .       | .                | .                  | bot: idle
max                        | .       | bot     | bot: max_age     | bot: max_age       | bot: max_age
relay                      | .       | .       | .                | bot: relay_failed  | bot: relay_failed
choice: email              | .       | .       | .                | .                  | .
choice: bot                | .       | .       | .                | .                  | .
offer expires              | .       | .       | .                | .                  | .
follow-up expires          | .       | .       | .                | .                  | .
note                       | .       | .       | .                | .                  | .
another bot writes         | .       | .       | .                | .                  | .
hook repeated              | .       | .       | .                | .                  | .
stale turn                 | .       | .       | .                | .                  | .
crisp is down              | .       | .       | .                | .                  | .
edit or removal            | .       | .       | .                | .                  | .
message repeated           | .       | .       | .                | .                  | .
bot speaks                 | .       | .       | .                | .                  | .
`

// modelCell is where one event leads from one state.
type modelCell struct {
	to   handover.State
	ends handover.EndReason
}

// cellName names a cell.
type cellName struct {
	state handover.State
	event string
}

var modelCells = readModelTable()

func readModelTable() map[cellName]modelCell {
	cells := make(map[cellName]modelCell)
	var states []handover.State
	for _, row := range strings.Split(strings.TrimSpace(modelTable), "\n") {
		fields := strings.Split(row, "|")
		event := strings.TrimSpace(fields[0])
		for i, f := range fields[1:] {
			f = strings.TrimSpace(f)
			if event == "event" {
				states = append(states, handover.State(f))
				continue
			}
			to, reason, _ := strings.Cut(f, ": ")
			if to == "." {
				to = string(states[i])
			}
			cells[cellName{states[i], event}] = modelCell{handover.State(to), handover.EndReason(reason)}
		}
	}
	return cells
}

// leads reports whether the cell gives the conversation another state.
func (n cellName) leads() bool { return modelCells[n].to != n.state }

// visit notes that an event happens in the state that the conversation has.
func (m *model) visit(event string) { m.cover.visit(cellName{m.state, event}) }

// fire gives the conversation the state that the table has for an event. There are three owners:
// the bot, nobody, the humans.
func (m *model) fire(event string) handover.EndReason {
	name := cellName{m.state, event}
	cell, known := modelCells[name]
	if !known || !name.leads() {
		panic(fmt.Sprintf("the model's table leads nowhere from %s on %q", m.state, event))
	}
	m.cover.take(name)
	owner := func(s handover.State) int {
		return map[handover.State]int{handover.StateBot: 1, handover.StateMuted: 2}[s]
	}
	if owner(m.state) != owner(cell.to) {
		m.owners++
	}
	m.moves = append(m.moves, fmt.Sprint(m.state, " > ", cell.to, " ", cell.ends))
	m.state = cell.to
	return cell.ends
}
