package handovertest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// Crisp's client for JavaScript verifies a signature over JSON.stringify(JSON.parse(body)). What is
// wanted here was written by Node.
func TestHookBodiesAreWrittenAsJavaScriptWritesThem(t *testing.T) {
	rows := []struct{ name, content, want string }{
		{"line separators", `"a\u2028b\u2029c"`, "\"a\u2028b\u2029c\""},
		{"what HTML escapes", `"<a href='x'>&\u003c\u003e\u0026"`, `"<a href='x'>&<>&"`},
		{"an escaped backslash before u2028", `"\\u2028 \\\u2028"`, "\"\\\\u2028 \\\\\u2028\""},
		{"control characters", `"\b\f\n\r\t\u0000\u001f\u007f"`, "\"\\b\\f\\n\\r\\t\\u0000\\u001f\u007f\""},
		{"the replacement character", `"\ufffd"`, "\"\uFFFD\""},
		{"index keys first", `{"-x":1,"10":2,"2":[{"b":1,"0":2}],"01":3,"4294967295":4}`, `{"2":[{"0":2,"b":1}],"10":2,"-x":1,"01":3,"4294967295":4}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := handovertest.NewCrisp(t, handovertest.Options{})
			bot := &inbox{}
			c.Attach(bot)
			v, _ := newCaller(t, c).open()
			var content any
			require.NoError(t, json.Unmarshal([]byte(row.content), &content))
			v.Operator("Ann").Send("hologram", content)
			c.Settle()
			h := bot.hooks()[0]
			require.Contains(t, string(h.body), `"content":`+row.want+`,"fingerprint"`)
			require.Equal(t, c.Sign(h.header.Get("X-Crisp-Request-Timestamp"), h.body), h.header.Get("X-Crisp-Signature"))
		})
	}
}

func TestNumbersThatCallersPostAreWrittenAsJavaScriptWritesThem(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	bot := &inbox{}
	c.Attach(bot)
	call := newCaller(t, c)
	_, path := call.open()
	call.ok("POST", path+"/message", `{"type":"audio","from":"user","origin":"chat","content":{"url":"https://x/a","type":"audio/mp4","duration":1.50}}`)
	call.ok("PATCH", path+"/meta", `{"data":{"b":1e3,"c":1e21,"d":0.0000001,"e":9007199254740993}}`)
	c.Settle()
	got := bot.hooks()
	require.Contains(t, string(got[0].body), `"duration":1.5,`)
	require.Contains(t, string(got[1].body), `{"b":1000,"c":1e+21,"d":1e-7,"e":9007199254740992}`)
}

// What is written is JSON of the same value, and stays as it is when it is written again.
func FuzzHookBodies(f *testing.F) {
	for _, seed := range []string{
		`{"10":1,"9":"\u2028\\u2029","a":[{"2":0,"1":{}}]}`, `"\ud800"`, `[1e400]`, `{"a":1,"a":2}`, `"1":`, `{"0\":":1,"7":2}`, "\"\xff\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want any
		if json.Unmarshal(raw, &want) != nil {
			return
		}
		at := time.UnixMilli(1)
		body := handovertest.HookBody("w", "e", at, want)
		var got struct{ Data any }
		require.NoError(t, json.Unmarshal(body, &got), "%s", body)
		require.Equal(t, want, got.Data)
		require.Equal(t, body, handovertest.HookBody("w", "e", at, got.Data))
	})
}
