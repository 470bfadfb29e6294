package handover

import "github.com/crisphandover/handover/internal/testhook"

func init() {
	testhook.Set = func(h any, hooks testhook.Hooks) {
		e := h.(*Handover).engine
		e.hooks, e.store.skew, e.crisp.noLookUp = hooks, hooks.Skew, hooks.NoLookUp
	}
	testhook.ChangeCell = changeCell
}

// changeCell is testhook.ChangeCell. What a cell does can be taken away, and not be given.
func changeCell(state, on string, change func(*testhook.Cell)) (restore func()) {
	row, t := table[State(state)], trigger(on)
	before, listed := row[t]
	as := testhook.Cell{To: string(before.to), Ends: string(before.ends), Acts: before.do != nil, Listed: listed}
	change(&as)
	after := before
	after.to, after.ends = State(as.To), EndReason(as.Ends)
	if !as.Acts {
		after.do = nil
	}
	if delete(row, t); as.Listed {
		row[t] = after
	}
	return func() {
		if delete(row, t); listed {
			row[t] = before
		}
	}
}
