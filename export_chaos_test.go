package handover

// SwitchOff takes a part of the engine away, to show that the chaos test would notice: the look-up
// before a post is repeated, or the lease.
func (h *Handover) SwitchOff(lookUp, lease bool) { h.off = ablation{lookUp: lookUp, claim: lease} }
