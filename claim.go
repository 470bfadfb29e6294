package handover

import "time"

const (
	// claimTTL is how long a claim holds that its process does not renew: so late is the work of a
	// process that died taken over.
	claimTTL = 30 * time.Second
	// renewEvery is how often a process renews its claim while one step takes long.
	renewEvery = claimTTL / 3
)

// claim says which process works on a record. It keeps two processes from doing the same work at
// once; it does not say who may save: any process may, and the version of the record decides.
type claim struct {
	Holder string    `json:"holder,omitempty"` // a process; empty for none
	Until  time.Time `json:"until,omitzero"`   // by the store's clock
}

// heldByOther reports whether another process than this one is at work.
func (c *claim) heldByOther(process string, now time.Time) bool {
	return c.Holder != "" && c.Holder != process && c.Until.After(now)
}

// take gives the claim to a process, or renews it.
func (c *claim) take(process string, now time.Time) {
	c.Holder, c.Until = process, now.Add(claimTTL)
}

func (c *claim) release() { *c = claim{} }

func (c *claim) free() bool { return c.Holder == "" }
