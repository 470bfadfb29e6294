package graphapi

import "strings"

// Number is one that may come as a text: Meta's page shows num_edit as one, and calls it an integer; what an SDK made of a
// hook may have it as a number.
type Number string

// UnmarshalJSON takes a number or a text.
func (n *Number) UnmarshalJSON(data []byte) error {
	*n = Number(strings.Trim(string(data), `"`))
	return nil
}
