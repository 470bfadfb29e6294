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

// Triggers are all triggers, in the order of table.go.
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

// Flip is one way to change one cell of the table that the code runs.
type Flip struct {
	From State
	On   string
	Kind string // "target", "reason", "action" or "left out"
	to   cell
}

// Flips are ways to change each listed cell: another target, another reason, no action, and as if
// it were not listed. Those that change nothing are left out, and those with which the code would
// not go on: a handover that runs and was never begun, and a deadline that comes again at once.
func Flips() (all []Flip) {
	for _, from := range States {
		for _, on := range Triggers {
			c, ok := table[from][trigger(on)]
			if !ok {
				continue
			}
			add := func(kind string, to cell) { all = append(all, Flip{from, on, kind, to}) }
			target := c
			if target.to = otherTarget(from, c); target.to != "" {
				add("target", target)
			}
			if reason := c; c.ends != "" {
				if reason.ends = EndIdle; c.ends == EndIdle {
					reason.ends = EndClaimTimeout
				}
				add("reason", reason)
			}
			begins := !c.human(from) && c.human(c.to)
			comes := deadlines[trigger(on)] && c.to == from
			if action := c; c.do != nil && !begins && !comes {
				action.do = nil
				add("action", action)
			}
			if (c.do != nil || c.to != from) && trigger(on) != onStart {
				add("left out", cell{})
			}
		}
	}
	return all
}

// deadlines are the triggers that come with time.
var deadlines = map[trigger]bool{
	onRemind: true, onClaimTimeout: true, onQuiet: true, onIdle: true, onMax: true, onOfferExpired: true, onFollowUpExpired: true,
}

// otherTarget is a state to which the cell might lead as well, "" for none.
func otherTarget(from State, c cell) State {
	switch {
	case c.ends != "":
		return StateMuted
	case from == StateMuted && c.to == StateBot:
		return "" // an un-mute for Max that does not un-mute comes again at once
	case c.to != from:
		return from
	}
	return map[State]State{
		StateBot: StateMuted, StateMuted: StateBot, StateOpening: StateWaiting, StateWaiting: StateActive, StateActive: StateWaiting,
	}[from]
}

// human reports whether the bot is silent in a state because a human was asked for.
func (cell) human(s State) bool { return s != StateBot && s != StateMuted }

// Apply changes the table until restore is called.
func (f Flip) Apply() (restore func()) {
	before := table[f.From][trigger(f.On)]
	if table[f.From][trigger(f.On)] = f.to; f.Kind == "left out" {
		delete(table[f.From], trigger(f.On))
	}
	return func() { table[f.From][trigger(f.On)] = before }
}
