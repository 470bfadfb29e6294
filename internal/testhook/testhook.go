// Package testhook lets the tests of this module change a Handover in ways that no host can: take a
// part of the engine away, to show that the tests would miss it, or set its clock wrong. Package
// handover says in its init how to do so. Nothing here is meant for production.
package testhook

import (
	"context"
	"time"
)

// Hooks change one Handover. The zero Hooks change nothing.
type Hooks struct {
	// NoLookUp repeats a post whose outcome is unknown without asking Crisp's log first.
	NoLookUp bool
	// NoClaim works on a conversation although another process is at it.
	NoClaim bool
	// NoEpoch lets every turn hold for ever.
	NoEpoch bool
	// NoLog takes hooks at their word, in the order in which they come, without reading Crisp's log.
	NoLog bool
	// Skew is added to the clock of the process: how far it is ahead of the true time, or behind.
	Skew time.Duration
}

// Set gives a *handover.Handover its hooks. Call it before the Handover is used.
var Set func(h any, hooks Hooks)

// Drain is handovertest.Drain. It does nothing to what neither is a *handover.Handover nor embeds one.
var Drain func(ctx context.Context, h any) error

// Cell is one cell of the table of states: what a trigger does in a state.
type Cell struct {
	To     string // the state after it
	Ends   string // the reason for which the handover ends, "" when it does not
	Acts   bool   // more is done than changing the state
	Listed bool   // else the trigger does nothing in this state
}

// ChangeCell changes a cell of the table that all Handovers of the process run, until restore is
// called. States and triggers are named as in docs/states.md. No Handover may be in use meanwhile.
var ChangeCell func(state, trigger string, change func(*Cell)) (restore func())
