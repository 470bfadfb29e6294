package handover

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/exactjson"
)

const (
	hookWebsite = "42286ab3-0000-4fde-8538-000000000001"
	hookSession = "session_36ba3566-0000-4790-afc8-000000000001"
	hookAnn     = "a4c32c68-0000-4e29-8a05-000000000001"
)

// hookFiles says what each file of testdata/webhooks means, apart from the ids and times that all
// share.
func hookFiles() map[string]Event {
	ann := EventUser{Type: "website", UserID: hookAnn, Nickname: "Ann", Avatar: "https://image.crisp.chat/x.png"}
	received := func(kind, content string, fingerprint int64) Event {
		return Event{Name: "message:received", Message: &EventMessage{WebsiteID: hookWebsite, SessionID: hookSession,
			Type: kind, From: "operator", Origin: "chat", Content: stdjson.RawMessage(content),
			Fingerprint: fingerprint, Timestamp: 1634080131123, User: ann}}
	}
	bot := received("text", `"I am a bot."`, 163408013112354)
	bot.Message.Origin, bot.Message.Automated = "urn:crisp.im:bot:0", true
	bot.Message.User = EventUser{Type: "participant", Nickname: "Crisp Bot"}
	full := received("text", `"See https://acme"`, 163408013112355)
	full.Message.Edited = true
	return map[string]Event{
		"message_send_text": {Name: "message:send", At: time.UnixMilli(1506985696616), Message: &EventMessage{
			WebsiteID: hookWebsite, SessionID: hookSession, Type: "text", From: "user", Origin: "chat",
			Content: stdjson.RawMessage(`"Hey :)"`), Fingerprint: 150698569649423, Timestamp: 1506985696616,
			User: EventUser{UserID: hookSession, Nickname: "visitor493603"}}},
		"message_send_email": {Name: "message:send", At: time.UnixMilli(1634083000020), Message: &EventMessage{
			WebsiteID: hookWebsite, SessionID: hookSession, Type: "text", From: "user", Origin: "email",
			Content: stdjson.RawMessage(`"Thank you, it works now."`), Fingerprint: 163408300012345, Timestamp: 1634083000000,
			User: EventUser{UserID: hookSession, Nickname: "Anakin Skywalker"}}},
		"message_received_text":      received("text", `"Hello, Ann here"`, 163408013112345),
		"message_received_file":      received("file", `{"name":"invoice.pdf","url":"https://storage.crisp.chat/x.pdf","type":"application/pdf"}`, 163408013112346),
		"message_received_animation": received("animation", `{"url":"https://x/y.gif","type":"image/gif"}`, 163408013112347),
		"message_received_audio":     received("audio", `{"url":"https://x/y.m4a","type":"audio/mp4","duration":12}`, 163408013112348),
		"message_received_picker": received("picker", `{"id":"routing","text":"Topic?","required":false,"choices":[`+
			`{"value":"sales","icon":"x","label":"Sales","selected":false,"action":{"type":"link","target":"https://acme"}},`+
			`{"value":"support","label":"Support","selected":false}]}`, 163408013112349),
		"message_received_field": received("field", `{"id":"order","text":"Order number?","explain":"Type it here","value":"","required":true}`, 163408013112350),
		"message_received_carousel": received("carousel", `{"text":"Pick one","targets":[{"title":"A","description":"d",`+
			`"image":"https://x.png","actions":[{"label":"Open","url":"https://acme"}]}]}`, 163408013112351),
		"message_received_note":  received("note", `"private, operators only"`, 163408013112352),
		"message_received_event": received("event", `{"namespace":"state:resolved","text":"optional"}`, 163408013112353),
		"message_received_bot":   bot,
		"message_received_full":  full,
		"message_updated_text": {Name: "message:updated", Update: &EventUpdate{
			Fingerprint: 163240180126629, Content: stdjson.RawMessage(`"This is an edited message!"`)}},
		"message_updated_picker": {Name: "message:updated", Update: &EventUpdate{Fingerprint: 163240180126630,
			Content: stdjson.RawMessage(`{"id":"routing","text":"Topic?","choices":[{"value":"sales","label":"Sales","selected":true}]}`)}},
		"message_removed":      {Name: "message:removed", Removed: 163240180126629},
		"message_compose_send": {Name: "message:compose:send"},
		"message_compose_receive": {Name: "message:compose:receive", more: eventDetails{compose: &eventCompose{Type: "stop",
			User: EventUser{UserID: hookAnn, Nickname: "Ann", Unknown: stdjson.RawMessage(`{"avatar":null}`)}}}},
		"message_acknowledge_read_send": {Name: "message:acknowledge:read:send"},
		"message_acknowledge_delivered": {Name: "message:acknowledge:delivered"},
		"message_acknowledge_ignored":   {Name: "message:acknowledge:ignored"},
		"session_set_state":             {Name: "session:set_state", State: "resolved"},
		"session_set_routing":           {Name: "session:set_routing", more: eventDetails{routing: new(hookAnn)}},
		"session_set_routing_nobody":    {Name: "session:set_routing", more: eventDetails{routing: new("")}},
		"session_set_block":             {Name: "session:set_block", more: eventDetails{blocked: new(true)}},
		"session_set_unblock":           {Name: "session:set_block", more: eventDetails{blocked: new(false)}},
		"session_sync_rating":           {Name: "session:sync:rating", more: eventDetails{rating: &eventRating{Stars: 5, Comment: "ok"}}},
		"session_removed":               {Name: "session:removed"},
		"session_set_inbox":             {Name: "session:set_inbox"},
		"session_set_data":              {Name: "session:set_data"},
		"website_users_available":       {Name: "website:users:available"},
	}
}

func TestParseEventOfCrisp(t *testing.T) {
	files, err := filepath.Glob("testdata/webhooks/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(hookFiles()))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			want, ok := hookFiles()[name]
			require.True(t, ok, "no expectation for this file")
			want.WebsiteID = hookWebsite
			if strings.HasPrefix(name, "message_") || strings.HasPrefix(name, "session_") {
				want.SessionID = hookSession
			}
			if want.At.IsZero() {
				want.At = time.UnixMilli(1634080131140)
			}

			got, err := ParseEvent(body)
			require.NoError(t, err)
			var envelope struct{ Data stdjson.RawMessage }
			require.NoError(t, stdjson.Unmarshal(body, &envelope))
			require.JSONEq(t, string(body), string(got.Raw))
			require.JSONEq(t, string(envelope.Data), string(got.more.data))
			if got.Message != nil {
				requireMessageJSON(t, string(envelope.Data), *got.Message)
				got.Message.Unknown, got.Message.User.Unknown = nil, nil
			}
			got.Raw, got.more.data = nil, nil
			require.Equal(t, want, got)
		})
	}
}

// requireMessageJSON encodes the message with both libraries, and decodes it again.
func requireMessageJSON(t *testing.T, want string, m EventMessage) {
	t.Helper()
	encoded, err := json.Marshal(m)
	require.NoError(t, err)
	require.JSONEq(t, want, string(encoded))
	std, err := stdjson.Marshal(m)
	require.NoError(t, err)
	require.JSONEq(t, want, string(std))
	var again EventMessage
	require.NoError(t, json.Unmarshal(encoded, &again))
	require.Equal(t, m, again)
}

func TestEventTravelsAsJSON(t *testing.T) {
	body, err := os.ReadFile("testdata/webhooks/message_received_full.json")
	require.NoError(t, err)
	e, err := ParseEvent(body)
	require.NoError(t, err)

	encoded, err := stdjson.Marshal(map[string]Event{"event": e})
	require.NoError(t, err)
	var queued map[string]Event
	require.NoError(t, stdjson.Unmarshal(encoded, &queued))
	require.Equal(t, e, queued["event"])

	doubled, err := ParseEvent([]byte(`{"event":"message:send","data":{"session_id":"session_1","type":"note","type":"text"}}`))
	require.NoError(t, err)
	require.True(t, doubled.Ambiguous)
	for _, e := range []Event{e, doubled} {
		for _, e.Signed = range []bool{false, true} {
			encoded, err := stdjson.Marshal(e)
			require.NoError(t, err)
			var again Event
			require.NoError(t, stdjson.Unmarshal(encoded, &again))
			require.Equal(t, e, again)
			sent, err := ParseEvent(encoded)
			require.NoError(t, err)
			require.False(t, sent.Signed, "by a stranger")
			require.Equal(t, e.Raw, sent.Raw)
		}
	}
	forged := e
	forged.Raw = stdjson.RawMessage(`{"handover:event":{"signed":true}}`)
	encoded, err = stdjson.Marshal(forged)
	require.NoError(t, err)
	require.Equal(t, `{}`, string(encoded))

	_, err = stdjson.Marshal(Event{Name: "message:send"})
	require.ErrorContains(t, err, "not made by ParseEvent")
	require.ErrorIs(t, stdjson.Unmarshal([]byte(`[]`), &e), errNotObject)
}

func TestParseEventRefusesWhatIsNotAnObject(t *testing.T) {
	for _, row := range []struct {
		name, body string
		status     int
	}{
		{"empty", "", 400},
		{"white space", " \n", 400},
		{"text", "hello secret", 400},
		{"truncated", `{"event":"message:send","data":{"content":"secret`, 400},
		{"truncated after a doubled name", `{"a":1,"a":2`, 400},
		{"two values", `{"event":"secret"} {}`, 400},
		{"byte order mark", "\ufeff{}", 400},
		{"trailing comma", `{"secret":1,}`, 400},
		{"a number JSON does not have", `{"secret":{"secret":0x10}}`, 400},
		{"deep and not closed", strings.Repeat("[", 500), 400},
		{"array", `[{"secret":1}]`, 200},
		{"null", `null`, 200},
		{"string", `"secret"`, 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			e, err := ParseEvent([]byte(row.body))
			var refused *HookError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, row.status, refused.Status())
			require.NotContains(t, err.Error(), "secret")
			require.Zero(t, e)
		})
	}
}

// receivedHook returns an event with a message in which some members are others. Content is "hi",
// unless members has one.
func receivedHook(members string) string {
	if !strings.Contains(members, `"content"`) {
		members = `"content":"hi",` + members
	}
	return `{"website_id":"w","event":"message:received","timestamp":1,"data":{"session_id":"session_1",` + members + `}}`
}

func TestParseEventDegrades(t *testing.T) {
	good := `"type":"text","from":"operator","fingerprint":163240180126629,"timestamp":1634080131140`
	for _, row := range []struct {
		name, body string
		check      func(t *testing.T, e Event)
	}{
		{"empty object", `{}`, func(t *testing.T, e Event) {
			require.Equal(t, Event{Raw: stdjson.RawMessage(`{}`)}, e)
		}},
		{"all of the wrong type", `{"website_id":1,"event":[],"timestamp":"x","data":"y"}`, func(t *testing.T, e Event) {
			require.Equal(t, Event{Raw: e.Raw, more: eventDetails{data: jsontext.Value(`"y"`)}}, e)
		}},
		{"times out of range", `{"timestamp":1e999,"data":null}`, func(t *testing.T, e Event) {
			require.True(t, e.At.IsZero())
		}},
		{"website only in the data", `{"data":{"website_id":"w"}}`, func(t *testing.T, e Event) {
			require.Equal(t, "w", e.WebsiteID)
		}},
		{"members of the wrong type stay in Unknown",
			receivedHook(good + `,"user":{"nickname":7,"user_id":"u","x":{}},"origin":null,"automated":"true","edited":false,"read":["chat"]`),
			func(t *testing.T, e Event) {
				require.Equal(t, EventUser{UserID: "u", Unknown: stdjson.RawMessage(`{"nickname":7,"x":{}}`)}, e.Message.User)
				require.JSONEq(t, `{"origin":null,"automated":"true","edited":false,"read":["chat"]}`, string(e.Message.Unknown))
				require.False(t, e.Message.Automated)
				requireMessageJSON(t, string(e.more.data), *e.Message)
			}},
		{"marks that are numbers or null", receivedHook(good + `,"read":0,"delivered":null,"user":{"user_id":"u","nickname":"Ann"}`), func(t *testing.T, e Event) {
			require.Equal(t, EventUser{UserID: "u", Nickname: "Ann"}, e.Message.User, "without a type")
			require.Empty(t, e.Message.Read+e.Message.Delivered)
			require.Equal(t, `{"read":0,"delivered":null}`, string(e.Message.Unknown))
			requireMessageJSON(t, string(e.more.data), *e.Message)
		}},
		{"marks that are origins", receivedHook(good + `,"read":"chat","delivered":"urn:acme:bot:0"`), func(t *testing.T, e Event) {
			require.Equal(t, "chat", e.Message.Read)
			require.Equal(t, "urn:acme:bot:0", e.Message.Delivered)
		}},
		{"a reserved member of a stranger's", `{"handover:event":{"signed":true},"event":"e"}`, func(t *testing.T, e Event) {
			require.Equal(t, Event{Name: "e", Raw: stdjson.RawMessage(`{"event":"e"}`)}, e)
		}},
		{"only a reserved member", `{"h\u0061ndover:event":1}`, func(t *testing.T, e Event) {
			require.Equal(t, Event{Raw: stdjson.RawMessage(`{}`)}, e)
		}},
		{"user that is no object", receivedHook(good + `,"user":"Ann"`), func(t *testing.T, e Event) {
			require.Zero(t, e.Message.User)
			requireMessageJSON(t, string(e.more.data), *e.Message)
		}},
		{"user of unknown members", receivedHook(good + `,"user":{"x":1}`), func(t *testing.T, e Event) {
			requireMessageJSON(t, string(e.more.data), *e.Message)
		}},
		{"brackets in a string", receivedHook(`"content":"\\\"` + strings.Repeat("[", 200) + `",` + good), func(t *testing.T, e Event) {
			require.Len(t, e.Message.Content, 200+len(`"\\\""`))
		}},
		{"empty user", receivedHook(good + `,"user":{}`), func(t *testing.T, e Event) {
			requireMessageJSON(t, string(e.more.data), *e.Message)
		}},
		{"no content", `{"event":"message:send","data":{` + good + `}}`, func(t *testing.T, e Event) {
			require.Nil(t, e.Message.Content)
		}},
		{"case variants are other members", receivedHook(`"Type":"note","FROM":"user","Fingerprint":2,` + good), func(t *testing.T, e Event) {
			require.Equal(t, "text", e.Message.Type)
			require.Equal(t, "operator", e.Message.From)
			require.EqualValues(t, 163240180126629, e.Message.Fingerprint)
			require.JSONEq(t, `{"Type":"note","FROM":"user","Fingerprint":2}`, string(e.Message.Unknown))
		}},
		{"only case variants", receivedHook(`"Type":"text","fingerprint":1,"timestamp":1634080131140`), func(t *testing.T, e Event) {
			require.Empty(t, e.Message.Type)
		}},
		{"NUL and lone surrogates", receivedHook(`"content":"a\u0000b\ud800c",` + good), func(t *testing.T, e Event) {
			require.Equal(t, "\"a\ufffdb\ufffdc\"", string(e.Message.Content))
			require.NotContains(t, string(e.Raw), `\u0000`)
			require.True(t, jsontext.Value(e.Raw).IsValid())
		}},
		{"bytes that are not UTF-8", receivedHook("\"content\":\"a\xffb\"," + good), func(t *testing.T, e Event) {
			require.Equal(t, "\"a\ufffdb\"", string(e.Message.Content))
			require.True(t, jsontext.Value(e.Raw).IsValid())
		}},
		{"numbers out of range beside it", receivedHook(good + `,"x":1e999,"y":-0`), func(t *testing.T, e Event) {
			require.Equal(t, `{"x":1e999,"y":-0}`, string(e.Message.Unknown))
		}},
		{"update without fingerprint", `{"event":"message:updated","data":{"session_id":"session_1","content":"x"}}`, func(t *testing.T, e Event) {
			require.Nil(t, e.Update)
			require.Equal(t, "session_1", e.SessionID)
		}},
		{"update without content", `{"event":"message:updated","data":{"fingerprint":7}}`, func(t *testing.T, e Event) {
			require.Equal(t, &EventUpdate{Fingerprint: 7}, e.Update)
		}},
		{"state of the wrong type", `{"event":"session:set_state","data":{"session_id":"session_1","state":2}}`, func(t *testing.T, e Event) {
			require.Empty(t, e.State)
		}},
		{"block of the wrong type", `{"event":"session:set_block","data":{"is_blocked":"yes"}}`, func(t *testing.T, e Event) {
			require.Nil(t, e.more.blocked)
		}},
		{"routing of the wrong type is not nobody", `{"event":"session:set_routing","data":{"routing_id":5}}`, func(t *testing.T, e Event) {
			require.Nil(t, e.more.routing)
		}},
		{"routing without id", `{"event":"session:set_routing","data":{}}`, func(t *testing.T, e Event) {
			require.Nil(t, e.more.routing)
		}},
		{"rating of the wrong type", `{"event":"session:sync:rating","data":{"rating":5}}`, func(t *testing.T, e Event) {
			require.Nil(t, e.more.rating)
		}},
		{"rating of no star", `{"event":"session:sync:rating","data":{"rating":{"stars":0}}}`, func(t *testing.T, e Event) {
			require.Nil(t, e.more.rating)
		}},
		{"rating of very many stars", `{"event":"session:sync:rating","data":{"rating":{"stars":4.5e15}}}`, func(t *testing.T, e Event) {
			require.Nil(t, e.more.rating)
		}},
		{"a member called like no field", `{"":1,"event":"x","data":{"":2}}`, func(t *testing.T, e Event) {
			require.Equal(t, `{"":1,"event":"x","data":{"":2}}`, string(e.Raw))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			e, err := ParseEvent([]byte(row.body))
			require.NoError(t, err)
			require.False(t, e.Ambiguous)
			row.check(t, e)
		})
	}
}

func TestFingerprints(t *testing.T) {
	for number, want := range map[string]int64{
		"163240180126629": 163240180126629, "1.632e14": 163200000000000, "163240180126629.0": 163240180126629,
		"1": 1, "9007199254740991": 9007199254740991, "-9007199254740991": -9007199254740991, "-5": -5,
		"-1078189900":      -1078189900, // of a trigger's message
		"9007199254740992": 0, "9007199254740993": 0, "-9007199254740992": 0, "1e999": 0, "-1e999": 0, "0": 0, "-0": 0, "1.5": 0, "1e-400": 0,
		`"163240180126629"`: 0, "null": 0, "true": 0, "[1]": 0, `{"a":1}`: 0,
	} {
		t.Run(number, func(t *testing.T) {
			e, err := ParseEvent([]byte(receivedHook(`"timestamp":1634080131140,"fingerprint":` + number)))
			require.NoError(t, err)
			require.Equal(t, "session_1", e.SessionID, "still a hint")
			if want == 0 {
				require.Nil(t, e.Message)
			} else {
				require.Equal(t, want, e.Message.Fingerprint)
				requireMessageJSON(t, string(e.more.data), *e.Message)
			}

			e, err = ParseEvent([]byte(`{"event":"message:updated","data":{"fingerprint":` + number + `}}`))
			require.NoError(t, err)
			require.Equal(t, want != 0, e.Update != nil)

			e, err = ParseEvent([]byte(`{"event":"message:removed","data":{"fingerprint":` + number + `}}`))
			require.NoError(t, err)
			require.Equal(t, want, e.Removed)
		})
	}
}

func TestTimes(t *testing.T) {
	for number, want := range map[string]int64{
		"1634080131140": 1634080131140, "1.63408013114e12": 1634080131140, "1634080131140.7": 1634080131140,
		"1634080131": 1634080131000, "1634080131.25": 1634080131250, "1634080131140000": 1634080131140, "1634080131140000000": 1634080131140,
		"0": 0, "1": 0, "-1": 0, "-1634080131140": 0, "600000000": 0, "253402300800000": 0, "9007199254740993": 0, "1e999": 0, "-1e999": 0,
		`"1634080131140"`: 0, "null": 0, "[]": 0,
	} {
		t.Run(number, func(t *testing.T) {
			e, err := ParseEvent([]byte(`{"event":"session:set_state","timestamp":` + number + `,"data":{"session_id":"session_1","state":"resolved"}}`))
			require.NoError(t, err)
			require.Equal(t, "resolved", e.State)
			require.Equal(t, want == 0, e.At.IsZero())
			if want != 0 {
				at := want
				if number == "1634080131" {
					at += 999 // the end of its second
				}
				require.Equal(t, at, e.At.UnixMilli())
			}

			e, err = ParseEvent([]byte(receivedHook(`"fingerprint":1,"timestamp":` + number)))
			require.NoError(t, err)
			if want == 0 {
				require.Nil(t, e.Message)
				return
			}
			require.Equal(t, want, e.Message.Timestamp)
			_, err = json.Marshal(time.UnixMilli(e.Message.Timestamp))
			require.NoError(t, err)
		})
	}
}

func TestParseEventAmbiguous(t *testing.T) {
	ids := func(website, name, session string) Event {
		return Event{WebsiteID: website, Name: name, SessionID: session, Ambiguous: true}
	}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, row := range []struct {
		name, body string
		want       Event
	}{
		{"note or text", `{"website_id":"w","event":"message:received","data":{"session_id":"session_1","type":"note","type":"text","fingerprint":1,"timestamp":1}}`,
			ids("w", "message:received", "session_1")},
		{"inside content", `{"website_id":"w","event":"message:updated","data":{"session_id":"session_1","fingerprint":1,"content":{"a":1,"a":1}}}`,
			ids("w", "message:updated", "session_1")},
		{"written with an escape", `{"website_id":"w","event":"session:set_state","data":{"session_id":"session_1","state":"pending","st\u0061te":"resolved"}}`,
			ids("w", "session:set_state", "session_1")},
		{"session in doubt", `{"website_id":"w","event":"e","data":{"session_id":"session_1","session_id":"session_1"}}`, ids("w", "e", "")},
		{"website in doubt", `{"website_id":"w","website_id":"v","event":"e","data":{"session_id":"session_1"}}`, ids("", "e", "session_1")},
		{"data in doubt", `{"website_id":"w","event":"e","data":{"session_id":"session_1"},"data":{}}`, ids("w", "e", "")},
		{"event in doubt", `{"website_id":"w","event":"e","event":"f","data":{"session_id":"session_1"}}`, ids("w", "", "session_1")},
		{"ids of the wrong type", `{"website_id":{"a":1,"a":2},"event":["e"],"data":[{"session_id":"session_1"}]}`, ids("", "", "")},
		{"session that is none", `{"website_id":"w","event":"e","x":{"a":1,"a":2},"data":{"session_id":"../x"}}`, ids("w", "e", "")},
		{"names that only differ in what is not UTF-8", "{\"a\xff\":1,\"a\xfe\":2,\"event\":\"e\"}", ids("", "e", "")},
		{"names that only differ in NUL", `{"a\u0000":1,"a\ufffd":2,"event":"e"}`, ids("", "e", "")},
		{"two reserved members", `{"handover:event":{"signed":true},"handover:event":{"signed":true},"event":"e"}`, ids("", "e", "")},
		{"too deep", `{"website_id":"w","event":"e","data":{"session_id":"session_1","x":` + deep(99) + `}}`, ids("w", "e", "session_1")},
		{"brackets in a string after too deep", `{"event":"e","x":` + deep(100) + `,"y":"\"{{[["}`, ids("", "e", "")},
		{"too deep for the JSON library", `{"website_id":"w","event":"e","data":` + deep(20_000) + `}`, ids("w", "e", "")},
		{"too deep for the JSON library, beside its session", `{"website_id":"w","event":"e","data":{"x":` + deep(20_000) + `,"session_id":"session_1"}}`, ids("w", "e", "session_1")},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseEvent([]byte(row.body))
			require.NoError(t, err)
			require.True(t, jsontext.Value(got.Raw).IsValid())
			again, err := ParseEvent(got.Raw)
			require.NoError(t, err)
			require.Equal(t, row.want.SessionID, again.SessionID)
			require.NotContains(t, string(got.Raw), "fingerprint")
			got.Raw, got.more.data = nil, nil
			require.Equal(t, row.want, got)
		})
	}

	e, err := ParseEvent([]byte(`{"x":` + deep(99) + `}`))
	require.NoError(t, err)
	require.False(t, e.Ambiguous, "100 levels are allowed")
}

func TestEventMessageDecodesObjectsOnly(t *testing.T) {
	var m EventMessage
	for _, bad := range []string{`[]`, `"secret"`, `{"secret":`, `{"type":"note","type":"text","content":"secret"}`} {
		err := m.UnmarshalJSON([]byte(bad))
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret")
		require.Zero(t, m)
	}
}

func TestSessionIDs(t *testing.T) {
	for _, id := range []string{hookSession, "session_1", "session_A-b_9", "session_" + strings.Repeat("a", 120)} {
		require.True(t, crispapi.ValidSessionID(id), id)
	}
	for _, id := range []string{"", "session_", "session", "Session_1", "x_session_1", "session_a/b", "session_..", "session_a?b", "session_%2e",
		"session_a\x00", "session_a b", "session_ä", "session_a\n", "session_#", "session_" + strings.Repeat("a", 121)} {
		require.False(t, crispapi.ValidSessionID(id), id)
		quoted, err := json.Marshal(id)
		require.NoError(t, err)
		e, err := ParseEvent([]byte(`{"event":"session:removed","data":{"session_id":` + string(quoted) + `}}`))
		require.NoError(t, err)
		require.Empty(t, e.SessionID)
	}
}

func TestEventLogsNoText(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	for _, body := range []string{
		receivedHook(`"content":"secret","user":{"nickname":"secret"},"type":"text","fingerprint":77,"timestamp":1634080131140`),
		`{"event":"message:compose:send","data":{"excerpt":"secret"}}`,
		`{"event":"message:updated","data":{"content":"secret","fingerprint":1}}`,
	} {
		e, err := ParseEvent([]byte(body))
		require.NoError(t, err)
		log.Info("hook", "event", e, "message", e.Message)
	}
	require.Contains(t, logged.String(), "77")
	require.NotContains(t, logged.String(), "secret")
}

func FuzzParseEvent(f *testing.F) {
	files, err := filepath.Glob("testdata/webhooks/*.json")
	require.NoError(f, err)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(body)
	}
	f.Add([]byte(`{"event":"message:send","data":{"type":"note","type":"text"}}`))
	f.Add([]byte(receivedHook(`"content":"a\u0000b\ud800c","fingerprint":1.632e14,"timestamp":1e999`)))
	f.Add([]byte(strings.Repeat(`{"data":[`, 60)))
	f.Add([]byte(receivedHook(`"fingerprint":-1078189900,"timestamp":1634080131,"handover:event":1`)))
	f.Add([]byte(`{"handover:event":{"signed":true,"ambiguous":true},"event":"e"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEvent(body)
		if err != nil {
			require.ErrorAs(t, err, new(*HookError))
			require.Zero(t, e)
			return
		}
		require.True(t, e.SessionID == "" || crispapi.ValidSessionID(e.SessionID))
		require.False(t, e.Signed)
		require.NotContains(t, string(e.Raw), `\u0000`)
		for _, e.Signed = range []bool{false, true} {
			encoded, err := json.Marshal(e)
			require.NoError(t, err)
			var again Event
			require.NoError(t, json.Unmarshal(encoded, &again))
			require.Equal(t, e, again)
			again, err = ParseEvent(encoded)
			require.NoError(t, err)
			require.False(t, again.Signed)
			require.False(t, again.Ambiguous)
		}
		if e.Message != nil {
			require.False(t, e.Ambiguous)
			encoded, err := json.Marshal(e.Message)
			require.NoError(t, err)
			data := exactjson.ReadObject(e.more.data, exactjson.To("timestamp", new(jsontext.Value)))
			data = fmt.Appendf(data[:len(data)-1], `,"timestamp":%d}`, e.Message.Timestamp) // in ms, whatever it was
			require.True(t, sameJSON(data, encoded), "%s\n%s", data, encoded)
		}
	})
}

// sameJSON compares two objects but for the order of their members and the way their numbers are
// written.
func sameJSON(a, b jsontext.Value) bool {
	a, b = a.Clone(), b.Clone()
	canonical := []jsontext.Options{jsontext.CanonicalizeRawInts(true), jsontext.CanonicalizeRawFloats(true), jsontext.ReorderRawObjects(true)}
	return a.Format(canonical...) == nil && b.Format(canonical...) == nil && bytes.Equal(a, b)
}

// TestMessagesOfAPage requires that a page of Crisp's log says of messages what their hooks say.
func TestMessagesOfAPage(t *testing.T) {
	var page []crispapi.Item
	var want []crisplog.Message
	for name := range hookFiles() {
		body, err := os.ReadFile(filepath.Join("testdata/webhooks", name+".json"))
		require.NoError(t, err)
		ev, err := ParseEvent(body)
		require.NoError(t, err)
		if ev.Message != nil {
			page, want = append(page, crispapi.ReadItem(ev.more.data)), append(want, ev.Message.logged())
		}
	}
	require.Greater(t, len(page), 5)
	page = append(page, crispapi.ReadItem(jsontext.Value(`{"type":"note","timestamp":1}`)))
	messages, odd := crisplog.MessagesOf(page)
	require.Equal(t, want, messages)
	require.Len(t, odd, 1)
	require.True(t, odd[0].Private)
}
