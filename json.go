package handover

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

// positive returns the integer from 1 to 2^53-1 that v is, or 0.
func positive(v jsontext.Value) int64 { return exactjson.Positive(v) }
