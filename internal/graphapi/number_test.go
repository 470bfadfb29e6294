package graphapi_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/graphapi"
)

func TestNumber(t *testing.T) {
	for text, want := range map[string]graphapi.Number{`1`: "1", `"1"`: "1", `1.5`: "1.5", `""`: "", `null`: "null"} {
		var got graphapi.Number
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.Equal(t, want, got, text)
	}
}
