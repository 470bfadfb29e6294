package handovertest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

func TestCallsThatCrispRefuses(t *testing.T) {
	const note = `{"type":"note","from":"operator","origin":"chat","content":"x"}`
	rows := []struct {
		name, method, path, body string
		change                   func(r *http.Request)
		status                   int
		reason, violation        string
	}{
		{name: "no token", method: "GET", path: "", change: func(r *http.Request) { r.Header.Del("Authorization") }, status: 401, reason: "invalid_session", violation: "no Authorization"},
		{name: "no tier", method: "GET", path: "", change: func(r *http.Request) { r.Header.Del("X-Crisp-Tier") }, status: 401, reason: "invalid_session", violation: "no X-Crisp-Tier"},
		{name: "another tier", method: "GET", path: "", change: func(r *http.Request) { r.Header.Set("X-Crisp-Tier", "website") }, status: 401, reason: "invalid_session"},
		{name: "wrong key", method: "GET", path: "", change: func(r *http.Request) { r.SetBasicAuth("a", "b") }, status: 401, reason: "invalid_session"},
		{name: "another website", method: "GET", path: "", change: func(r *http.Request) { r.URL.Path = "/v1/website/7a3c5e10-6f0b-4d55-9c1e-ffffffffffff" }, status: 404, reason: "not_subscribed"},
		{name: "unknown route", method: "GET", path: "/nothing", status: 404, reason: "not_found", violation: "the route does not exist"},
		{name: "unknown method", method: "PUT", path: "SID/meta", status: 404, reason: "not_found", violation: "the route does not exist"},
		{name: "empty id", method: "GET", path: "/conversation/", status: 404, reason: "not_found", violation: "the route does not exist"},
		{name: "escaped id", method: "GET", path: "/conversation/session_%2e%2e", status: 404, reason: "not_found", violation: "the route does not exist"},
		{name: "escaped letters of an id", method: "GET", path: "ESC", status: 404, reason: "not_found", violation: "the route does not exist"},
		{name: "dotted id", method: "GET", path: "/conversation/../conversation/x", status: 404, reason: "not_found", violation: "the route does not exist"},
		{name: "unknown conversation", method: "GET", path: "/conversation/session_00000000-0000-4000-8000-000000000000", status: 404, reason: "not_found"},
		{name: "unknown message", method: "GET", path: "SID/message/1", status: 404, reason: "not_found"},
		{name: "not JSON", method: "POST", path: "SID/message", body: `{"type":`, status: 400, reason: "invalid_data", violation: "not JSON"},
		{name: "no content type", method: "POST", path: "SID/message", body: userText("x"), change: func(r *http.Request) { r.Header.Del("Content-Type") }, status: 400, reason: "invalid_data", violation: "Content-Type"},
		{name: "no content", method: "POST", path: "SID/message", body: `{"type":"text","from":"user","origin":"chat"}`, status: 400, reason: "invalid_data", violation: "data should have required property '.content'"},
		{name: "no origin", method: "POST", path: "SID/message", body: `{"type":"text","from":"user","content":"x"}`, status: 400, reason: "invalid_data", violation: "'.origin'"},
		{name: "no type", method: "POST", path: "SID/message", body: `{"from":"user","origin":"chat","content":"x"}`, status: 400, reason: "invalid_data", violation: "'.type'"},
		{name: "no from", method: "POST", path: "SID/message", body: `{"type":"text","origin":"chat","content":"x"}`, status: 400, reason: "invalid_data", violation: "'.from'"},
		{name: "empty content", method: "POST", path: "SID/message", body: userText(""), status: 400, reason: "invalid_data", violation: "data.content"},
		{name: "long content", method: "POST", path: "SID/message", body: userText(strings.Repeat("😀", 1001)), status: 400, reason: "invalid_data", violation: "longer than 2000"},
		{name: "unknown type", method: "POST", path: "SID/message", body: `{"type":"dance","from":"user","origin":"chat","content":"x"}`, status: 400, reason: "invalid_data", violation: "data.type"},
		{name: "wrong case", method: "POST", path: "SID/message", body: `{"Type":"text","from":"user","origin":"chat","content":"x"}`, status: 400, reason: "invalid_data", violation: "'.type'"},
		{name: "unknown member", method: "POST", path: "SID/message", body: `{"type":"text","from":"user","origin":"chat","content":"x","colour":1}`, status: 400, reason: "invalid_data", violation: "additional properties"},
		{name: "origin without a name", method: "POST", path: "SID/message", body: `{"type":"text","from":"user","content":"x","origin":"urn:"}`, status: 400, reason: "invalid_data", violation: "data.origin"},
		{name: "weird origin", method: "POST", path: "SID/message", body: `{"type":"text","from":"user","origin":"","content":"x"}`, status: 400, reason: "invalid_data", violation: "data.origin"},
		{name: "fraction as fingerprint", method: "POST", path: "SID/message", body: `{"type":"text","from":"user","origin":"chat","content":"x","fingerprint":1.5}`, status: 400, reason: "invalid_data", violation: "data.fingerprint"},
		{name: "file without name", method: "POST", path: "SID/message", body: `{"type":"file","from":"user","origin":"chat","content":{"url":"https://a.b/c","type":"x/y"}}`, status: 400, reason: "invalid_data", violation: "data.content should have required property '.name'"},
		{name: "script as link", method: "POST", path: "SID/message", body: `{"type":"file","from":"user","origin":"chat","content":{"url":"javascript:x","type":"x/y","name":"n"}}`, status: 400, reason: "invalid_data", violation: "data.content.url"},
		{name: "bad email", method: "PATCH", path: "SID/meta", body: `{"email":"[email protected]"}`, status: 400, reason: "invalid_data"},
		{name: "bad phone", method: "PATCH", path: "SID/meta", body: `{"phone":"call me"}`, status: 400, reason: "invalid_data"},
		{name: "unknown meta", method: "PATCH", path: "SID/meta", body: `{"first_name":"A"}`, status: 400, reason: "invalid_data", violation: "additional properties"},
		{name: "nested data", method: "PATCH", path: "SID/meta", body: `{"data":{"a":{"b":1}}}`, status: 400, reason: "invalid_data", violation: "data.data.a"},
		{name: "null data", method: "PATCH", path: "SID/meta", body: `{"data":{"a":null}}`, status: 400, reason: "invalid_data", violation: "data.data.a"},
		{name: "spaced key", method: "PATCH", path: "SID/meta", body: `{"data":{"a b":"c"}}`, status: 400, reason: "invalid_data", violation: "invalid key"},
		{name: "marks without origin", method: "PATCH", path: "SID/read", body: `{"from":"operator"}`, status: 400, reason: "invalid_data", violation: "'.origin'"},
		{name: "unknown state", method: "PATCH", path: "SID/state", body: `{"state":"closed"}`, status: 400, reason: "invalid_data", violation: "data.state"},
		{name: "bad page", method: "GET", path: "/conversations/1?per_page=5", status: 400, reason: "invalid_data", violation: "per_page"},
		{name: "note on the free plan", method: "POST", path: "SID/message", body: note, status: 402, reason: "subscription_upgrade_required"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := handovertest.NewCrisp(t, handovertest.Options{FreePlan: true, AllowViolations: true})
			call := newCaller(t, c)
			_, path := call.open()
			escaped := strings.Replace(path, "_", "%5f", 1)
			r := call.request(t.Context(), row.method, strings.NewReplacer("SID", path, "ESC", escaped).Replace(row.path), row.body)
			if row.change != nil {
				row.change(r)
			}
			answer, err := call.send(r)
			require.NoError(t, err)
			require.Equal(t, row.status, answer.status, "%s", answer.body)
			require.Equal(t, row.reason, answer.Reason)
			require.True(t, answer.Error)
			if row.violation == "" {
				require.Empty(t, c.Violations())
				return
			}
			require.Len(t, c.Violations(), 1)
			require.Contains(t, c.Violations()[0], row.violation)
			require.Empty(t, c.Last().Messages())
		})
	}
}

func TestTokensReachOnlyTheirRoutes(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{Tier: "website"})
	call := newCaller(t, c)
	call.site = c.URL()
	require.Equal(t, "restricted_route_tier", call.do("GET", "plugin/connect/account", "").Reason)

	c = handovertest.NewCrisp(t, handovertest.Options{})
	call = newCaller(t, c)
	call.site = c.URL()
	require.Contains(t, string(call.ok("GET", "plugin/connect/account", "").Data), "plugin_id")
	call.ok("HEAD", "plugin/connect/session", "")
}

func TestWebsitesAreKeptApart(t *testing.T) {
	const other = "7a3c5e10-6f0b-4d55-9c1e-000000000002"
	c := handovertest.NewCrisp(t, handovertest.Options{Websites: []string{other}})
	first, second := newCaller(t, c), newCaller(t, c)
	second.site = c.URL() + "website/" + other
	v, path := second.open()
	second.userSays(path, "hi")
	require.Equal(t, other, v.WebsiteID())
	require.Equal(t, http.StatusNotFound, first.do("GET", path, "").status)
	require.JSONEq(t, `[]`, string(first.ok("GET", "/conversations/1", "").Data))
}

func TestMetaMergesOrReplaces(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		c := handovertest.NewCrisp(t, handovertest.Options{DataReplaced: replaced})
		call := newCaller(t, c)
		v, path := call.open()
		call.ok("PATCH", path+"/meta", `{"nickname":"Ann","segments":["a","b"],"data":{"x":1,"y":"2"}}`)
		call.ok("PATCH", path+"/meta", `{"segments":["c"],"data":{"y":true}}`)
		require.Equal(t, []string{"c"}, v.Segments())
		require.Equal(t, "Ann", v.Meta().Nickname)
		require.Equal(t, v, c.ByNickname("Ann"))
		want := map[string]any{"x": 1.0, "y": true}
		if replaced {
			want = map[string]any{"y": true}
		}
		require.Equal(t, want, v.Meta().Data)
	}
}

func TestMessagesArePaged(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{PageSize: 3})
	call := newCaller(t, c)
	v, path := call.open()
	for _, text := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		call.userSays(path, text)
	}
	at := func(i int) string {
		raw, _ := json.Marshal(v.Messages()[i].Timestamp)
		return string(raw)
	}
	require.Equal(t, []string{"5", "6", "7"}, call.ok("GET", path+"/messages", "").texts())
	require.Equal(t, []string{"2", "3", "4"}, call.ok("GET", path+"/messages?timestamp_before="+at(4), "").texts())
	require.Equal(t, []string{"1"}, call.ok("GET", path+"/messages?timestamp_before="+at(1), "").texts())
	require.Equal(t, []string{"3", "4", "5"}, call.ok("GET", path+"/messages?timestamp_after="+at(1), "").texts())
	require.Empty(t, call.ok("GET", path+"/messages?timestamp_before="+at(0), "").texts())
	require.Equal(t, []string{"5", "6", "7"}, call.ok("GET", path+"/messages?timestamp_before=99999999999999", "").texts())
}

func TestReadsSayMoreThanHooks(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	bot := &inbox{}
	c.Attach(bot)
	call := newCaller(t, c)
	v, path := call.open()
	v.Operator("Ann").Say("see https://example.com/a?b=c for more")
	c.Settle()
	require.NotContains(t, string(bot.hooks()[0].body), "preview")
	require.Contains(t, string(call.ok("GET", path+"/messages", "").Data), `"preview":[{"stamped":true,"title":"https://example.com/a?b=c"`)
}

func TestTimestampsGrow(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	v, path := call.open()
	for range 50 {
		v.Operator("Ann").Say("x")
	}
	for i, m := range v.Messages()[1:] {
		require.Greater(t, m.Timestamp, v.Messages()[i].Timestamp)
		require.NotEqual(t, m.Fingerprint, v.Messages()[i].Fingerprint)
		require.Less(t, m.Fingerprint, int64(1)<<53)
	}
	v.Operator("Ann").SayLate("late", 1e9)
	require.Equal(t, "late", v.Messages()[0].Text())
	call.ok("POST", path+"/message", `{"type":"text","from":"operator","origin":"chat","content":"old","timestamp":1000}`)
	require.Equal(t, int64(1000), v.Messages()[0].Timestamp)
}

func TestMarksWithoutFingerprintsMeanAll(t *testing.T) {
	for _, none := range []string{``, `,"fingerprints":[]`} {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		call := newCaller(t, c)
		v, path := call.open()
		call.userSays(path, "hi")
		one := v.Operator("Ann").Say("one")
		v.Operator("Ann").Note("two")
		mark, _ := json.Marshal(map[string]any{"from": "operator", "origin": "urn:acme:bot:0", "fingerprints": []int64{one}})
		call.ok("PATCH", path+"/delivered", string(mark))
		require.Equal(t, []string{"", "urn:acme:bot:0", ""}, delivered(v))
		call.ok("PATCH", path+"/delivered", `{"from":"operator","origin":"chat"`+none+`}`)
		require.Equal(t, []string{"", "chat", "chat"}, delivered(v))
		require.Empty(t, v.Messages()[1].Read)
	}
}

func delivered(v *handovertest.Conversation) []string {
	var out []string
	for _, m := range v.Messages() {
		out = append(out, m.Delivered)
	}
	return out
}

func TestFingerprintsThatRepeat(t *testing.T) {
	const body = `{"type":"text","from":"user","origin":"chat","content":"hi","fingerprint":123456789012345}`
	rows := []struct {
		name     string
		options  handovertest.Options
		status   int
		messages int
	}{
		{"stored", handovertest.Options{}, 200, 2},
		{"refused", handovertest.Options{Repeated: handovertest.RepeatedRefused}, 409, 1},
		{"dropped", handovertest.Options{Repeated: handovertest.RepeatedDropped}, 200, 1},
		{"replaced", handovertest.Options{OwnFingerprints: true}, 200, 2},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := handovertest.NewCrisp(t, row.options)
			call := newCaller(t, c)
			v, path := call.open()
			first := call.ok("POST", path+"/message", body)
			require.Equal(t, http.StatusAccepted, first.status)
			require.Equal(t, row.status, call.do("POST", path+"/message", body).status)
			require.Len(t, v.Messages(), row.messages)
			_, found := v.Message(123456789012345)
			require.Equal(t, row.name != "replaced", found)
			own, _ := json.Marshal(map[string]any{"fingerprint": v.Messages()[0].Fingerprint})
			require.JSONEq(t, string(own), string(first.Data))
		})
	}
}

func TestStateFollowsTheMessages(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	v, path := call.open()
	require.Equal(t, "pending", v.State())
	call.userSays(path, "hi")
	v.Operator("Ann").Note("a note")
	require.Equal(t, "pending", v.State())
	v.Bot("Hugo").Say("a bot") // automated replies count as people's do
	require.Equal(t, "unresolved", v.State())
	v.SetState("pending")
	v.Operator("Ann").Say("hello")
	require.Equal(t, "unresolved", v.State())
	v.Operator("Ann").Resolve()
	v.Operator("Ann").Say("one more thing")
	require.Equal(t, "resolved", v.State())
	call.userSays(path, "thanks")
	require.Equal(t, "pending", v.State())
	call.ok("PATCH", path+"/state", `{"state":"resolved"}`)
	v.UserByEmail("by mail")
	require.Len(t, v.Messages(), 7)
	require.Equal(t, "pending", v.State())
	require.Equal(t, "email", v.Messages()[6].Origin)
}

func TestConversationsCanBeChangedAndRemoved(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{Operators: []string{"Ann"}})
	call := newCaller(t, c)
	v, path := call.open()
	ann := v.Operator("Ann").ID()
	call.ok("PATCH", path+"/routing", `{"assigned":{"user_id":"`+ann+`"}}`)
	require.Equal(t, "Ann", v.Assigned())
	require.JSONEq(t, `{"assigned":{"user_id":"`+ann+`"}}`, string(call.ok("GET", path+"/routing", "").Data))
	call.ok("PATCH", path+"/routing", `{"assigned":null}`)
	require.Empty(t, v.Assigned())
	call.ok("PATCH", path+"/inbox", `{"inbox_id":"bf690000-0000-4000-8000-000000000000"}`)
	require.Equal(t, "bf690000-0000-4000-8000-000000000000", v.Inbox())
	call.ok("PATCH", path+"/inbox", `{"inbox_id":null}`)
	require.Empty(t, v.Inbox())
	call.ok("PATCH", path+"/block", `{"blocked":true}`)
	require.JSONEq(t, `{"blocked":true}`, string(call.ok("GET", path+"/block", "").Data))
	call.ok("POST", path+"/feedback", "")
	require.Equal(t, 1, v.FeedbackAsked())

	fingerprint := v.Operator("Ann").Say("hello")
	v.Operator("Ann").Edit(fingerprint, "hello!")
	m, found := v.Message(fingerprint)
	require.True(t, found)
	require.Equal(t, "hello!", m.Content)
	require.True(t, m.Edited)
	v.Operator("Ann").Remove(fingerprint)
	require.Empty(t, v.Messages())

	v.Remove()
	require.True(t, v.Removed())
	require.Equal(t, http.StatusNotFound, call.do("GET", path, "").status)
	require.Equal(t, http.StatusNotFound, call.do("HEAD", path, "").status)
	require.Equal(t, http.StatusNotFound, call.do("POST", path+"/message", userText("x")).status)
	require.Equal(t, 1, c.CountCalls(handovertest.RouteSend))
	require.Equal(t, 2, v.CountCalls(handovertest.RoutePatchRouting))
	require.Equal(t, 0, c.CountCalls(handovertest.RouteState))
}

func TestAvailability(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{Away: true})
	call := newCaller(t, c)
	status := func() string {
		var data struct{ Status string }
		require.NoError(t, json.Unmarshal(call.ok("GET", "/availability/status", "").Data, &data))
		return data.Status
	}
	require.Equal(t, "away", status())
	c.Online("Ann")
	require.Equal(t, "online", status())
	require.Contains(t, string(call.ok("GET", "/availability/operators", "").Data), `"type":"online"`)
	c.Availability("weird")
	require.Equal(t, "weird", status())
}

func FuzzBody(f *testing.F) {
	f.Add(userText("hi"))
	f.Add(`{"type":"picker","from":"user","origin":"chat","content":{"id":"a","text":"b","choices":[{"value":1e999}]}}`)
	f.Add(`{"nickname":null,"data":{"a":1e999},"segments":[[]],"device":{"timezone":-60}}`)
	f.Fuzz(func(t *testing.T, body string) {
		c := handovertest.New(handovertest.Options{AllowViolations: true})
		defer c.Close()
		call := newCaller(t, c)
		v, path := call.open()
		for _, route := range []string{"POST message", "PATCH meta", "PATCH read", "PATCH routing", "PATCH state"} {
			method, name, _ := strings.Cut(route, " ")
			answer := call.do(method, path+"/"+name, body)
			require.Less(t, answer.status, 500)
			require.True(t, json.Valid(answer.body))
		}
		require.True(t, json.Valid(call.do("GET", path, "").body))
		require.True(t, json.Valid(call.do("GET", path+"/messages", "").body))
		_ = v.Transcript()
	})
}

func TestEachRouteIsHooked(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	bot := &inbox{}
	c.Attach(bot)
	call := newCaller(t, c)
	v, path := call.open()
	call.ok("POST", path+"/message", `{"type":"text","from":"user","origin":"chat","content":"hi","fingerprint":5}`)
	c.Settle()
	require.Equal(t, []string{"message:send"}, eventsOf(bot.hooks()))
	rows := []struct{ method, path, body, event string }{
		{"POST", "/initiate", "", "session:request:initiated"},
		{"PATCH", "/message/5", `{"content":"hi!"}`, "message:updated"},
		{"PATCH", "/compose", `{"type":"start","from":"user","excerpt":"I wan"}`, "message:compose:send"},
		{"PATCH", "/read", `{"from":"user","origin":"chat"}`, "message:acknowledge:read:send"},
		{"PATCH", "/unread", `{"from":"user"}`, "message:acknowledge:unread:send"},
		{"PATCH", "/state", `{"state":"resolved"}`, "session:set_state"},
		{"PATCH", "/block", `{"blocked":true}`, "session:set_block"},
		{"DELETE", "/message/5", "", "message:removed"},
		{"DELETE", "", "", "session:removed"},
	}
	for _, row := range rows {
		t.Run(row.method+row.path, func(t *testing.T) {
			newCaller(t, c).ok(row.method, path+row.path, row.body)
			c.Settle()
			require.Equal(t, []string{row.event}, eventsOf(bot.hooks()))
		})
	}
	require.Empty(t, v.Messages())
	require.True(t, v.Blocked())
	require.True(t, v.Removed())
	for _, row := range rows {
		require.Equal(t, http.StatusNotFound, call.do(row.method, path+row.path, row.body).status)
	}
}

func TestUnreadCounts(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	v, path := call.open()
	unread := func() string {
		var data struct{ Unread json.RawMessage }
		require.NoError(t, json.Unmarshal(call.ok("GET", path, "").Data, &data))
		return string(data.Unread)
	}
	call.userSays(path, "hi")
	v.Operator("Ann").Say("hello")
	v.Operator("Ann").Note("a note")
	require.JSONEq(t, `{"operator":1,"visitor":1}`, unread())
	v.Operator("Ann").Read()
	call.ok("PATCH", path+"/read", `{"from":"operator","origin":"chat"}`)
	require.JSONEq(t, `{"operator":0,"visitor":0}`, unread())
	call.ok("PATCH", path+"/unread", `{"from":"user"}`)
	require.JSONEq(t, `{"operator":1,"visitor":0}`, unread())
}

func TestPluginSeesItsWebsites(t *testing.T) {
	const other = "7a3c5e10-6f0b-4d55-9c1e-000000000002"
	c := handovertest.NewCrisp(t, handovertest.Options{Websites: []string{other}})
	call := newCaller(t, c)
	call.site = c.URL()
	list := string(call.ok("GET", "plugin/connect/websites/all/1", "").Data)
	require.Contains(t, list, other)
	require.Contains(t, list, c.WebsiteID())
	require.JSONEq(t, `[]`, string(call.ok("GET", "plugin/connect/websites/all/2", "").Data))
	require.Contains(t, string(call.ok("GET", "website/"+other, "").Data), other)
}

func TestTextsAreKeptAsTheyAre(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{MaxText: -1})
	call := newCaller(t, c)
	v, path := call.open()
	for _, text := range []string{"a < b & \"c\"", "\u2028 \x00 é 😀", strings.Repeat("x", 100_000), " "} {
		call.userSays(path, text)
		messages := v.Messages()
		require.Equal(t, text, messages[len(messages)-1].Content)
	}
}

// What nobody knows of messages that are posted, and check asks a real Crisp.
func TestOptionsOfPostedMessages(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{MaxText: 4, CutText: true, RefuseURNs: true, QuietStealth: true})
	c.Attach(http.NotFoundHandler())
	call := newCaller(t, c)
	v, path := call.open()
	call.userSays(path, "long 😀")
	call.userSays(path, "ab😀c")
	require.Equal(t, "user: long", v.Transcript()[0])
	require.Equal(t, "user: ab😀", v.Transcript()[1])
	urn := call.do("POST", path+"/message", `{"type":"text","from":"user","origin":"urn:a:b:0","content":"x"}`)
	require.Equal(t, http.StatusBadRequest, urn.status)
	require.Equal(t, "invalid_data", urn.Reason)
	call.ok("POST", path+"/message", `{"type":"text","from":"operator","origin":"chat","content":"x","stealth":true}`)
	c.Settle()
	require.Len(t, v.Messages(), 3)
	require.NotEmpty(t, c.Hooks())
	for _, h := range c.Hooks() {
		require.NotEqual(t, "message:received", h.Event)
	}
}
