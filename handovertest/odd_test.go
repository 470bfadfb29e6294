package handovertest_test

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// odd returns a conversation whose hooks come to an inbox.
func odd(t *testing.T, o handovertest.Options) (caller, *handovertest.Conversation, string, *inbox) {
	c := handovertest.NewCrisp(t, o)
	bot := &inbox{}
	c.Attach(bot)
	call := newCaller(t, c)
	v, path := call.open()
	v.SetState("unresolved")
	c.Settle()
	bot.hooks()
	return call, v, path, bot
}

func TestTimestampsAndFingerprintsOfAnySize(t *testing.T) {
	call, v, path, bot := odd(t, handovertest.Options{})
	now := time.Now().UnixMilli()
	rows := []struct{ timestamp, fingerprint int64 }{
		{now * 1000, 1}, {now + 365*24*3600_000, 2}, {0, 3}, {-1, 4}, {-2_208_988_800_000, 5}, {math.MaxInt64, 6},
		{now, 0}, {now, -1078189900}, {now, 1<<53 + 1}, {now, math.MaxInt64}, {now, math.MinInt64}, {now, 7}, {now, 7},
	}
	for _, row := range rows {
		require.Equal(t, row.fingerprint, v.Operator("Ann").At(row.timestamp).Fingerprint(row.fingerprint).Say("x"))
	}
	call.c.Settle()
	got := bot.hooks()
	require.Len(t, got, len(rows))
	log := string(call.ok("GET", path+"/messages", "").Data)
	for i, row := range rows {
		want := `"fingerprint":` + strconv.FormatInt(row.fingerprint, 10) + `,`
		require.Contains(t, string(got[i].body), want)
		require.Contains(t, log, want)
		want = `"timestamp":` + strconv.FormatInt(row.timestamp, 10) + `,`
		require.Contains(t, string(got[i].body), want)
		require.Contains(t, log, want)
		require.InDelta(t, now, got[i].Timestamp, 60_000, "the envelope's time is the clock's")
		call.ok("GET", path+"/message/"+strconv.FormatInt(row.fingerprint, 10), "")
	}
	messages := v.Messages()
	require.Equal(t, int64(5), messages[0].Fingerprint)
	require.Equal(t, int64(6), messages[len(messages)-1].Fingerprint)
	call.ok("PATCH", path+"/read", `{"from":"operator","origin":"chat","fingerprints":[-1078189900]}`)
	m, _ := v.Message(-1078189900)
	require.Equal(t, "chat", m.Read)
}

func TestManyMessagesInOneMillisecond(t *testing.T) {
	call, v, path, _ := odd(t, handovertest.Options{PageSize: 5})
	at := time.Now().UnixMilli()
	for i := range 25 {
		v.Operator("Ann").At(at).Say(strconv.Itoa(i))
	}
	require.Equal(t, []string{"20", "21", "22", "23", "24"}, call.ok("GET", path+"/messages", "").texts())
	before := strconv.FormatInt(at, 10)
	require.Empty(t, call.ok("GET", path+"/messages?timestamp_before="+before, "").texts(), "pages end at a time, not within one")
}

func TestOddMembers(t *testing.T) {
	call, v, path, bot := odd(t, handovertest.Options{AllowViolations: true})
	ann := v.Operator("Ann")
	rows := []struct {
		name     string
		say      func()
		has, not string
	}{
		{"doubled", func() { ann.Members(`"from":"user","type":"note"`).Say("x") }, `"from":"user","type":"note"}`, `\u`},
		{"doubled, and there", func() { ann.Members(`"from":"user"`).Say("x") }, `"from":"operator"`, `\u`},
		{"missing", func() { ann.Without("type", "user").Say("x") }, `"content":"x"`, `"type"`},
		{"no id", func() { ann.WithoutID().Say("x") }, `"nickname":"Ann"`, `user_id`},
		{"an avatar", func() { ann.Avatar("http://me:pw@10.0.0.1/\"x").Say("x") }, `"avatar":"http://me:pw@10.0.0.1/\"x"`, `image.crisp.invalid`},
		{"no avatar", func() { ann.Avatar("").Say("x") }, `"user_id":"` + ann.ID(), `avatar`},
		{"a name", func() { v.Operator("A\n\u202e" + strings.Repeat("n", 5000)).Say("x") }, `"nickname":"A\n` + "\u202e" + `nnn`, `Ann`},
		{"above 64 KiB", func() { ann.Members(`"properties":{"a":"` + strings.Repeat("x", 70_000) + `"}`).Say("x") }, `"properties":{"a":"xxx`, `\u`},
		{"a long text", func() { ann.Say(strings.Repeat("x", 70_000)) }, strings.Repeat("x", 70_000), `\u`},
		{"a bad link", func() {
			ann.Carousel("Pick", handovertest.Slide{Title: "A", Links: []handovertest.Link{{"Good", "https://a.b"}, {"Bad", "javascript:x"}}})
		}, `[{"label":"Good","url":"https://a.b"},{"label":"Bad","url":"javascript:x"}]`, `\u`},
		{"choices", func() {
			ann.Choose("Which?", handovertest.Choice{Value: "a", Label: "A", Icon: "i", Selected: true}, handovertest.Choice{Value: "b", Label: "B", Link: "https://a.b"})
		}, `[{"icon":"i","label":"A","selected":true,"value":"a"},{"action":{"target":"https://a.b","type":"link"},"label":"B","selected":false,"value":"b"}]`, `\u`},
		{"a note of the user", func() { v.User().Note("x") }, `"from":"user"`, `operator`},
		{"a file of the user", func() { v.User().File("a.jpg", "https://a.b/c", "image/jpeg") }, `"user_id":"` + v.ID(), `operator`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			row.say()
			call.c.Settle()
			hook := string(bot.hooks()[0].body)
			all := v.Messages()
			one := string(call.ok("GET", path+"/message/"+strconv.FormatInt(all[len(all)-1].Fingerprint, 10), "").Data)
			for _, text := range []string{hook, one} {
				require.Contains(t, text, row.has)
				require.NotContains(t, text, row.not)
				require.True(t, json.Valid([]byte(text)))
			}
		})
	}
	ann.Members(`"from"`).Say("x")
	require.Len(t, call.c.Violations(), 1)
}

func TestTriggers(t *testing.T) {
	call, v, path, bot := odd(t, handovertest.Options{})
	v.SetState("resolved")
	call.c.Settle()
	bot.hooks()
	first := v.Trigger("Acme").Say("Can I help?")
	second := v.Trigger("Acme").From("local").Say("Hello?")
	require.Negative(t, first)
	require.Negative(t, second)
	require.GreaterOrEqual(t, first, int64(math.MinInt32))
	call.c.Settle()
	got := bot.hooks()
	require.Equal(t, "message:received", got[0].Event)
	require.Equal(t, map[string]any{"type": "website", "nickname": "Acme"}, got[0].Data["user"])
	require.Equal(t, "operator", got[0].Data["from"])
	require.Equal(t, "urn:crisp.im:triggers:0", got[0].Data["origin"])
	require.NotContains(t, got[0].Data, "automated")
	require.Equal(t, "local", got[1].Data["origin"])
	require.Contains(t, string(call.ok("GET", path+"/messages", "").Data), `"origin":"urn:crisp.im:triggers:0"`)
}

func TestUnhookedMessagesAreInTheLog(t *testing.T) {
	call, v, path, bot := odd(t, handovertest.Options{})
	v.Operator("Ann").Unhooked().Say("lost")
	v.Operator("Ann").Say("told")
	call.c.Settle()
	require.Equal(t, []string{"told"}, bot.texts())
	require.Equal(t, []string{"lost", "told"}, call.ok("GET", path+"/messages", "").texts())
}

func TestTheLogLagsBehindTheHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call, v, path, bot := odd(t, handovertest.Options{LogLag: 2 * time.Second})
		for range 60 { // more than versions are kept
			v.Operator("Ann").Say("old")
		}
		time.Sleep(time.Second)
		fingerprint := v.Operator("Ann").Say("new")
		call.c.Settle()
		require.Equal(t, "new", bot.texts()[60])
		one := path + "/message/" + strconv.FormatInt(fingerprint, 10)
		require.Empty(t, call.ok("GET", path+"/messages", "").texts())
		time.Sleep(time.Second)
		require.Len(t, call.ok("GET", path+"/messages", "").texts(), 20)
		require.NotContains(t, call.ok("GET", path+"/messages", "").texts(), "new")
		require.Equal(t, 404, call.do("GET", one, "").status)
		time.Sleep(time.Second)
		require.Contains(t, call.ok("GET", path+"/messages", "").texts(), "new")
		call.ok("GET", one, "")
	})
}

func TestMessagesForABlockedUser(t *testing.T) {
	for name, row := range map[string]struct {
		option handovertest.Blocked
		status int
		stored int
	}{
		"stored": {handovertest.BlockedStored, 200, 2}, "refused": {handovertest.BlockedRefused, 403, 0}, "dropped": {handovertest.BlockedDropped, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			call, v, path, _ := odd(t, handovertest.Options{Blocked: row.option})
			v.Block(true)
			require.JSONEq(t, `{"blocked":true}`, string(call.ok("GET", path+"/block", "").Data))
			for range 2 {
				a := call.do("POST", path+"/message", userText("hi"))
				require.Equal(t, row.status/100, a.status/100)
			}
			require.Len(t, v.Messages(), row.stored)
			v.Operator("Ann").Say("from the app")
			v.Block(false)
			call.userSays(path, "hi")
			require.Len(t, v.Messages(), row.stored+2)
		})
	}
}

func TestAFullConversation(t *testing.T) {
	call, v, path, _ := odd(t, handovertest.Options{MaxMessages: 10_000})
	v.Fill(9_999, nil)
	call.userSays(path, "the last")
	a := call.do("POST", path+"/message", userText("one too many"))
	require.Equal(t, 409, a.status)
	require.Equal(t, "too_many_messages", a.Reason)
	call.ok("PATCH", path+"/state", `{"state":"resolved"}`)
	require.Len(t, v.Messages(), 10_000)
}

func TestOddRatingsAndEvents(t *testing.T) {
	call, v, _, bot := odd(t, handovertest.Options{})
	v.Rate(7, "")
	v.RateWith(map[string]any{"stars": 4.5e15, "comment": []any{}})
	v.RateWith("five")
	v.Emit("session:set_state", map[string]any{"state": 2})
	v.Emit("session:unheard_of", nil)
	call.c.Settle()
	got := bot.hooks()
	require.Equal(t, []string{"session:sync:rating", "session:sync:rating", "session:sync:rating", "session:set_state", "session:unheard_of"}, eventsOf(got))
	require.Contains(t, string(got[0].body), `"rating":{"comment":null,"stars":7}`)
	require.Contains(t, string(got[1].body), `"rating":{"comment":[],"stars":4500000000000000}`)
	require.Contains(t, string(got[2].body), `"rating":"five"`)
	require.Equal(t, 2.0, got[3].Data["state"])
	require.Equal(t, "unresolved", v.State())
	require.Equal(t, v.ID(), got[4].Data["session_id"])
}

// A test that forgot Attach waits for hooks in vain: the record, and the log of the test, say so
// once.
func TestAnOperatorWhomNobodyHears(t *testing.T) {
	lines := func(c *handovertest.Crisp) (n int) {
		for _, line := range c.Record() {
			if strings.Contains(line, "nothing was ever attached") {
				n++
			}
		}
		return n
	}
	c := handovertest.NewCrisp(t, handovertest.Options{})
	v := c.Open("Joe")
	v.Operator("Ann").Say("x")
	v.Operator("Bob").Say("x")
	require.Equal(t, 1, lines(c))

	c = handovertest.NewCrisp(t, handovertest.Options{})
	detach := c.Attach(&inbox{})
	v = c.Open("Joe")
	detach() // a process that died is no mistake
	v.Operator("Ann").Say("x")
	require.Zero(t, lines(c))
}
