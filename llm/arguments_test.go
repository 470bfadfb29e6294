package llm_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/llm"
)

// What a model writes is read as far as that goes.
func TestParse(t *testing.T) {
	const (
		noObject = "they must be one JSON object, and nothing else"
		other    = "there must be no other members than those in the schema"
		category = "category must be one of those in the schema"
		missing  = "category is missing"
	)
	good := llm.Arguments{Reason: "A refund", Summary: "Paid twice", Category: "billing"}
	with := func(a llm.Arguments, faults ...string) llm.Arguments {
		a.Faults = faults
		return a
	}
	for _, tt := range []struct {
		name, arguments string
		want            llm.Arguments
	}{
		{"as the schema says", `{"reason":"A refund","summary":"Paid twice","category":"billing"}`, good},
		{"white space", " \n{ \"reason\" : \"A refund\" ,\r\n\t\"summary\":\"Paid twice\",\"category\":\"billing\" } ", good},
		{"other letters", `{"Reason":"A refund","SUMMARY":"Paid twice","category":" Billing "}`, good},
		{"a fence", "```json\n{\"reason\":\"A refund\",\"summary\":\"Paid twice\",\"category\":\"billing\"}\n```", good},
		{"a list", `[{"reason":"A refund","summary":"Paid twice","category":"billing"}]`, good},
		{"a string", `"{\"reason\":\"A refund\",\"summary\":\"Paid twice\",\"category\":\"billing\"}"`, good},
		{"another object", `{"arguments":{"reason":"A refund","summary":"Paid twice","category":"billing"}}`, good},
		{"an object in a string in an object", `{"input":"{\"reason\":\"A refund\",\"summary\":\"Paid twice\",\"category\":\"billing\"}"}`, good},
		{"a comma too many", `{"reason":"A refund","summary":"Paid twice","category":"billing",}`, good},
		{"no end", `{"reason":"A refund","summary":"Paid twice","category":"billing"`, good},
		{"empty", "", with(llm.Arguments{}, "reason is missing", "summary is missing", missing)},
		{"an empty object", "{}", with(llm.Arguments{}, "reason is missing", "summary is missing", missing)},
		{"null", "null", with(llm.Arguments{Summary: "null"}, noObject, "reason is missing", missing)},
		{"nulls", `{"reason":null,"summary":" \u200b","category":null}`, with(llm.Arguments{}, "reason is missing", "summary is missing", missing)},
		{"prose", "I think the user wants a refund", with(llm.Arguments{Summary: "I think the user wants a refund"}, noObject, "reason is missing", missing)},
		{"prose with braces", "the {angry} user", with(llm.Arguments{Summary: "the {angry} user"}, noObject, "reason is missing", missing)},
		{"prose around", `Here: {"reason":"A refund","summary":"Paid twice","category":"billing"} Done`,
			with(llm.Arguments{Reason: "A refund", Summary: "Paid twice\nHere:   Done", Category: "billing"}, noObject)},
		{"cut off in a text", `{"reason":"A refund","summary":"Paid tw`, with(llm.Arguments{Reason: "A refund", Summary: "Paid tw"}, missing)},
		{"cut off in an escape", `{"reason":"A refund","summary":"Paid \ud83d\ude`, with(llm.Arguments{Reason: "A refund", Summary: "Paid \uFFFD"}, missing)},
		{"cut off in another object", `{"arguments":{"reason":"A refund","summary":"Paid tw`, with(llm.Arguments{Reason: "A refund", Summary: "Paid tw"}, missing)},
		{"broken", `{"reason":"A refund" "summary":"Paid twice"}`, with(llm.Arguments{Reason: "A refund", Summary: `"summary":"Paid twice"}`}, noObject, missing)},
		{"a line break in a text", "{\"reason\":\"A\nrefund\",\"summary\":\"Paid twice\",\"category\":\"billing\"}",
			llm.Arguments{Reason: "A refund", Summary: "Paid twice", Category: "billing"}},
		{"other types", `{"reason":["A","refund"],"summary":{"paid":2},"category":["billing"]}`,
			with(llm.Arguments{Reason: "A, refund", Summary: `{"paid":2}`, Category: "billing"}, "reason must be a string", "summary must be a string")},
		{"a number", `{"reason":1.50,"summary":true}`, with(llm.Arguments{Reason: "1.50", Summary: "true"}, "reason must be a string", "summary must be a string", missing)},
		{"twice", `{"reason":"A refund","summary":"Paid twice","category":"billing","reason":"Now","category":"orders"}`,
			with(llm.Arguments{Reason: "A refund", Summary: "Paid twice\nNow\ncategory: orders", Category: "billing"}, "reason is there twice", category)},
		{"an unknown category", `{"reason":"A refund","summary":"Paid twice","category":"money"}`,
			with(llm.Arguments{Reason: "A refund", Summary: "Paid twice\ncategory: money"}, category, missing)},
		{"other members", `{"message":"A refund","urgency":5}`,
			with(llm.Arguments{Summary: "message: A refund\nurgency: 5"}, other, other, "reason is missing", missing)},
		{"not UTF-8", "{\"reason\":\"A \xffrefund\",\"summary\":\"\\ud800\",\"category\":\"billing\"}",
			llm.Arguments{Reason: "A \uFFFDrefund", Summary: "\uFFFD", Category: "billing"}},
		{"control characters", `{"reason":"A\u0000\u0007 refund","summary":"Paid\r\ntwice\u2028now","category":"billing"}`,
			llm.Arguments{Reason: "A refund", Summary: "Paid\ntwice\nnow", Category: "billing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, newTool(t, llm.Options{Categories: []string{"billing", "orders"}}).Parse([]byte(tt.arguments)))
		})
	}
}

func TestParseBounds(t *testing.T) {
	tool := newTool(t, llm.Options{MaxReason: 20, MaxSummary: 30})
	a := tool.Parse([]byte(`{"reason":"` + strings.Repeat("é", 30) + `","summary":"` + strings.Repeat("😀", 30) + `"}`))
	require.Equal(t, llm.Arguments{
		Reason: strings.Repeat("é", 19) + "…", Summary: strings.Repeat("😀", 14) + "…",
		Faults: []string{"reason was cut: it has more than 20 characters", "summary was cut: it has more than 30 characters"},
	}, a)

	a = tool.Parse([]byte(`{"reason":"` + strings.Repeat("a", 3<<20)))
	require.Equal(t, strings.Repeat("a", 19)+"…", a.Reason, "what is beyond a megabyte is not read")
	a = tool.Parse([]byte("{" + strings.Repeat(`"x":"y",`, 10_000)))
	require.Len(t, a.Faults, 5)
	for _, deep := range []string{strings.Repeat(`{"a":`, 20_000), strings.Repeat(`[`, 20_000), strings.Repeat(`{"a":[`, 3_000) + strings.Repeat(`]}`, 3_000)} {
		require.NotEmpty(t, tool.Parse([]byte(deep)).Faults)
	}
}

// FuzzParse has models write anything: the texts stay within their bounds and can be read by agents, and what is as
// the schema says is taken as it is.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"reason":"A refund","summary":"Paid twice","category":"billing"}`, "```json\n{\"reason\":1}```", `"{\"reason\":\"x`,
		`{"arguments":{"reason":"`, `[{"category":["orders"]}]`, `{"reason":"\ud83d\ude`, "prose {with} braces", `{"a":{"b":{"c":{"d":{"e":"f"}}}}}`, "\xff{\"\x00",
	} {
		f.Add(seed)
	}
	tool, err := llm.NewTool(llm.Options{Categories: []string{"billing", "orders"}, MaxReason: 40, MaxSummary: 60})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, arguments string) {
		a := tool.Parse([]byte(arguments))
		require.LessOrEqual(t, textsplit.Units(a.Reason), 40)
		require.LessOrEqual(t, textsplit.Units(a.Summary), 60)
		require.Contains(t, []string{"", "billing", "orders"}, a.Category)
		require.LessOrEqual(t, len(a.Faults), 5)
		for _, text := range []string{a.Reason, a.Summary} {
			require.True(t, utf8.ValidString(text))
			require.False(t, strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }))
		}
		var good map[string]string
		if json.Unmarshal([]byte(arguments), &good) == nil && a.Faults == nil {
			require.NotEmpty(t, a.Reason)
			require.NotEmpty(t, a.Summary)
			require.NotEmpty(t, a.Category)
		}
		if again, err := json.Marshal(map[string]string{"reason": a.Reason, "summary": a.Summary, "category": "orders"}); a.Reason != "" && a.Summary != "" {
			require.NoError(t, err)
			require.Equal(t, llm.Arguments{Reason: a.Reason, Summary: a.Summary, Category: "orders"}, tool.Parse(again))
		}
	})
}
