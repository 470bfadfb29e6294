package crispapi

// Circuits is how much the breaker remembers.
func (c *Client) Circuits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.breaker.circuits)
}
