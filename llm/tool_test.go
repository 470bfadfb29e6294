package llm_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/llm"
)

func newTool(t testing.TB, o llm.Options) *llm.Tool {
	tool, err := llm.NewTool(o)
	require.NoError(t, err)
	return tool
}

func TestToolIsWhatSDKsTake(t *testing.T) {
	tool := newTool(t, llm.Options{Categories: []string{"billing", "orders"}})
	require.Equal(t, "ask_for_human", tool.Name)
	require.Equal(t, llm.DefaultDescription, tool.Description)
	require.JSONEq(t, `{
		"type": "object",
		"properties": {
			"reason": {"type": "string", "description": "Why a human agent is needed, in a sentence for the agent, of at most 500 characters."},
			"summary": {"type": "string", "description": "What the agent must know to go on without asking the user again: what they want, what was tried, names and numbers they gave. At most 4000 characters."},
			"category": {"type": "string", "enum": ["billing", "orders"], "description": "What it is about."}
		},
		"required": ["reason", "summary", "category"],
		"additionalProperties": false
	}`, string(tool.Schema))

	plain := newTool(t, llm.Options{Name: "person", Description: "Get a person.", MaxReason: 50})
	require.Equal(t, []string{"person", "Get a person."}, []string{plain.Name, plain.Description})
	var schema struct {
		Properties map[string]any
		Required   []string
	}
	require.NoError(t, json.Unmarshal(plain.Schema, &schema))
	require.Len(t, schema.Properties, 2)
	require.Equal(t, []string{"reason", "summary"}, schema.Required)
	require.Contains(t, string(plain.Schema), "at most 50 characters")
}

func TestToolNamesAllThatIsWrong(t *testing.T) {
	for _, name := range []string{"9lives", "ask human", "ask-human", "ask.human", "fragé", strings.Repeat("a", 65)} {
		_, err := llm.NewTool(llm.Options{Name: name})
		require.EqualError(t, err, "llm: Options.Name must be up to 64 letters, digits and underscores, and not begin with a digit", name)
	}
	_, err := llm.NewTool(llm.Options{
		Categories: []string{"", "a\nb", " a", "\xff", strings.Repeat("a", 257), "billing", "Billing"},
		MaxReason:  19, MaxSummary: 20_001,
	})
	require.EqualError(t, err, `llm: Options.Categories[0] must be a line of text without white space around it
Options.Categories[1] must be a line of text without white space around it
Options.Categories[2] must be a line of text without white space around it
Options.Categories[3] must be a line of text without white space around it
Options.Categories[4] is longer than 256 bytes
Options.Categories[6] is there twice
Options.MaxReason must be from 20 to 20,000
Options.MaxSummary must be from 20 to 20,000`)
	_, err = llm.NewTool(llm.Options{Categories: make([]string, 101)})
	require.ErrorContains(t, err, "Options.Categories has more than 100")
}

func TestRequest(t *testing.T) {
	tool := newTool(t, llm.Options{Categories: []string{"billing"}})
	base := handover.Request{Segments: []string{"Customer"}, Note: "Order 7", Resume: "checkout", Locale: "fr"}
	r := tool.Request(llm.Arguments{Reason: "A refund", Summary: "Paid twice", Category: "billing"}, base)
	require.Equal(t, handover.Request{
		Segments: []string{"billing", "Customer"}, Note: "Order 7\n\nThe bot writes: A refund\n\nPaid twice", Resume: "checkout", Locale: "fr",
	}, r)
	require.Equal(t, []string{"Customer"}, base.Segments, "the host's own is left as it was")

	require.Equal(t, base, tool.Request(llm.Arguments{}, base))
	require.Equal(t, handover.Request{Note: "The bot writes: Why"}, tool.Request(llm.Arguments{Summary: "Why"}, handover.Request{}))
	base.Segments = []string{"Customer", "billing"}
	require.Equal(t, base.Segments, tool.Request(llm.Arguments{Category: "billing"}, base).Segments)
	require.Len(t, tool.Request(llm.Arguments{Category: "billing"}, handover.Request{Segments: make([]string, 50)}).Segments, 50)

	tool = newTool(t, llm.Options{Note: func(a llm.Arguments) string { return "Grund: " + a.Reason }})
	require.Equal(t, "Grund: A refund", tool.Request(llm.Arguments{Reason: "A refund"}, handover.Request{}).Note)
}
