package handover

import "slices"

// Cell is one cell of the table of states.
type Cell struct {
	To     State
	Ends   EndReason
	What   string
	Listed bool // else nothing happens
}

// States are the rows' order in the documentation.
var States = []State{StateBot, StateMuted, StateOpening, StateWaiting, StateActive}

// Triggers are all triggers, in the order of states.go.
var Triggers = []string{
	string(onStart), string(onNobody), string(onMute), string(onOpened), string(onOpenFailed), string(onUser),
	string(onHuman), string(onLate), string(onAssigned), string(onResolved), string(onHostEnd), string(onUserLeft),
	string(onRemoved), string(onBlocked), string(onRemind), string(onClaimTimeout), string(onQuiet), string(onIdle),
	string(onMax), string(onRelayFailed), string(onChoiceEmail), string(onChoiceBot), string(onOfferExpired),
	string(onFollowUpExpired),
}

// UnknownTriggers are those of the table that Triggers lacks, and those of Triggers that no state
// lists.
func UnknownTriggers() (all []string) {
	used := make(map[string]bool)
	for _, row := range table {
		for t := range row {
			used[string(t)] = true
			if !slices.Contains(Triggers, string(t)) {
				all = append(all, string(t))
			}
		}
	}
	for _, t := range Triggers {
		if !used[t] {
			all = append(all, t)
		}
	}
	return all
}

// CellOf reads the table that the code runs.
func CellOf(from State, on string) Cell {
	c, ok := table[from][trigger(on)]
	if !ok {
		return Cell{To: from}
	}
	return Cell{To: c.to, Ends: c.ends, What: c.what, Listed: true}
}
