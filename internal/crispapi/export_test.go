package crispapi

// Circuits is how much the breaker remembers.
func (c *Client) Circuits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.breaker.circuits)
}

// RuleOf is ruleOf.
func RuleOf(e *Error) Rule { return *ruleOf(e) }

// Unbuilt is the error of a request that could not be built.
func Unbuilt() *Error { return &Error{Err: errBuild} }
