package handover_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	systemrig "github.com/crisphandover/handover/internal/systemtest/rig"
)

// rig is the rig of all tests from outside, with the helpers of the tests beside it.
type rig struct{ *systemrig.Rig }

// options change what bubble makes.
type options struct {
	crisp  handovertest.Options
	config func(r *rig, c *handover.Config)
	still  bool // without Run
}

// bubble runs a test in fake time.
func bubble(t *testing.T, o options, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newRig(t, o)) })
}

// active runs a test in which an agent, Ann, has greeted the user.
func active(t *testing.T, o options, test func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator)) {
	t.Helper()
	bubble(t, o, func(r *rig) {
		conv, ann := r.Greeted()
		test(r, conv, ann)
	})
}

func newRig(t *testing.T, o options) *rig {
	r := new(rig)
	shared := systemrig.New(t, o.of(r))
	if r.Rig == nil {
		r.Rig = shared
	}
	return r
}

// replica starts one more Handover of the bot.
func (r *rig) replica(o options) *handover.Handover { return r.Replica(o.of(r)) }

// of returns the options for the shared rig.
func (o options) of(r *rig) systemrig.Options {
	all := systemrig.Options{Crisp: o.crisp, Still: o.still}
	if o.config != nil {
		all.Config = func(shared *systemrig.Rig, c *handover.Config) {
			if r.Rig == nil {
				r.Rig = shared // before Run, which may call what config leaves here
			}
			o.config(r, c)
		}
	}
	return all
}

// Helpers of the shared rig.
var (
	agentsIn = systemrig.AgentsIn
	unlate   = systemrig.Unlate
	kinds    = systemrig.Kinds
)

var (
	errStoreDown   = systemrig.ErrStoreDown
	errChannelDown = errors.New("the channel is down")
)
