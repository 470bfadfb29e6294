// Package claims says which of several processes works on a record, and notices that none does.
package claims

import "time"

const (
	// TTL is how long a claim holds that its process does not renew: so late is the work of a
	// process that died taken over.
	TTL = 30 * time.Second
	// RenewEvery is how often a process renews its claim while one step takes long.
	RenewEvery = TTL / 3
)

// Claim says which process works on a record. It keeps two processes from doing the same work at
// once; it does not say who may save: any process may, and the version of the record decides.
type Claim struct {
	Holder string    `json:"holder,omitempty"` // a process; empty for none
	Until  time.Time `json:"until,omitzero"`   // by the store's clock
}

// HeldByOther reports whether another process than this one is at work. A claim that ends later than
// any that is taken now was taken by a wrong clock, or is damaged: it counts for nothing.
func (c *Claim) HeldByOther(process string, now time.Time) bool {
	return c.Holder != "" && c.Holder != process && c.Until.After(now) && !c.Until.After(now.Add(2*TTL))
}

// Take gives the claim to a process, or renews it.
func (c *Claim) Take(process string, now time.Time) {
	c.Holder, c.Until = process, now.Add(TTL)
}

// Release gives the claim up.
func (c *Claim) Release() { *c = Claim{} }

// Free reports whether nobody has the claim.
func (c *Claim) Free() bool { return c.Holder == "" }
