package scenarios

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// rogue is a Crisp whose log holds what the fake would never write.
type rogue struct{ extra atomic.Value }

// config puts extra before the messages of each page of the log.
func (g *rogue) config(_ *rig.Rig, c *handover.Config) {
	crisp := c.HTTPClient.Transport
	c.HTTPClient = &http.Client{Transport: rig.RoundTrip(func(req *http.Request) (*http.Response, error) {
		resp, err := crisp.RoundTrip(req)
		extra, _ := g.extra.Load().(string)
		if err != nil || extra == "" || !strings.HasSuffix(req.URL.Path, "/messages") {
			return resp, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.Replace(body, []byte(`"data":[`), []byte(`"data":[`+extra+`,`), 1)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Del("Content-Length")
		return resp, nil
	})}
}

// badMessage is a message of an agent as JSON, with other members where they are given by name.
func badMessage(at time.Time, members map[string]string) string {
	all := map[string]string{
		"type": `"text"`, "from": `"operator"`, "origin": `"chat"`, "content": `"hello"`, "fingerprint": "163240180126629",
		"timestamp": fmt.Sprint(at.UnixMilli()), "user": `{"user_id":"a4c32c68-0000-4e29-8a05-000000000001","nickname":"Ann"}`,
	}
	for name, v := range members {
		all[name] = v
	}
	var list []string
	for name, v := range all {
		if v != "" {
			list = append(list, fmt.Sprintf("%q:%s", name, v))
		}
	}
	return "{" + strings.Join(list, ",") + "}"
}

const notShown = "note: A message could not be shown to the user. Please send it as plain text."

func TestBadMessagesOfAgents(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	veryDeep := strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)
	shown := []string{"agent Ann: hello"}
	for name, tt := range map[string]struct {
		members map[string]string
		want    []string
		note    bool // the agents are told
	}{
		"nothing wrong":                   {nil, shown, false},
		"numbers as floats":               {map[string]string{"fingerprint": "1.63240180126629e14"}, shown, false},
		"numbers with a fraction":         {map[string]string{"fingerprint": "163240180126629.0"}, shown, false},
		"members nobody knows":            {map[string]string{"from_2027": `{"a":[1e999,{"b":null}]}`, "stamped": "1e999"}, shown, false},
		"a fingerprint of 1e999":          {map[string]string{"fingerprint": "1e999"}, nil, true},
		"a fingerprint as a text":         {map[string]string{"fingerprint": `"163240180126629"`}, nil, true},
		"a negative fingerprint":          {map[string]string{"fingerprint": "-5"}, shown, false},
		"half a fingerprint":              {map[string]string{"fingerprint": "1.5"}, nil, true},
		"no timestamp":                    {map[string]string{"timestamp": ""}, nil, true},
		"a timestamp of null":             {map[string]string{"timestamp": "null"}, nil, true},
		"a note that says text as well":   {map[string]string{"type": `"note","type":"text"`}, nil, true},
		"a text that says note as well":   {map[string]string{"type": `"text","type":"note"`}, nil, true},
		"a note under another case":       {map[string]string{"type": `"note"`, "Type": `"text"`}, nil, false},
		"a type of another case alone":    {map[string]string{"type": "", "TYPE": `"text"`}, nil, true},
		"a user under another case":       {map[string]string{"from": `"user"`, "From": `"operator"`}, nil, false},
		"an author that is not known":     {map[string]string{"from": `"somebody"`}, nil, false},
		"an author of another type":       {map[string]string{"from": `["operator"]`}, nil, false},
		"content twice within":            {map[string]string{"type": `"picker"`, "content": `{"id":"x","text":"a","text":"b","choices":[]}`}, nil, true},
		"content that is a number":        {map[string]string{"content": "42"}, nil, true},
		"content that is an object":       {map[string]string{"content": `{"text":"hello"}`}, nil, true},
		"content of null":                 {map[string]string{"content": "null"}, nil, true},
		"no content":                      {map[string]string{"content": ""}, nil, true},
		"empty text":                      {map[string]string{"content": `""`}, nil, true},
		"white space":                     {map[string]string{"content": `" \n\t "`}, nil, true},
		"bytes that are not UTF-8":        {map[string]string{"content": "\"caf\xe9\""}, []string{"agent Ann: caf\uFFFD"}, false},
		"a lone surrogate":                {map[string]string{"content": `"caf\ud800"`}, []string{"agent Ann: caf\uFFFD"}, false},
		"NUL":                             {map[string]string{"content": `"caf\u0000"`}, []string{"agent Ann: caf\uFFFD"}, false},
		"nested deeply":                   {map[string]string{"content": deep}, nil, true},
		"nested very deeply":              {map[string]string{"content": veryDeep}, nil, true},
		"nested deeply elsewhere":         {map[string]string{"original": deep}, nil, true},
		"HTML stays text":                 {map[string]string{"content": `"<script>alert(1)</script>"`}, []string{"agent Ann: <script>alert(1)</script>"}, false},
		"a user of another type":          {map[string]string{"user": `"Ann"`}, []string{"agent : hello"}, false},
		"no user":                         {map[string]string{"user": ""}, []string{"agent : hello"}, false},
		"an unknown type":                 {map[string]string{"type": `"hologram"`}, nil, true},
		"a javascript file":               {map[string]string{"type": `"file"`, "content": `{"name":"a","url":"javascript:alert(1)","type":"image/png"}`}, nil, true},
		"a file of data":                  {map[string]string{"type": `"file"`, "content": `{"name":"a","url":"data:text/html;base64,AAAA","type":"text/html"}`}, nil, true},
		"a javascript link in a carousel": {map[string]string{"type": `"carousel"`, "content": `{"text":"a","targets":[{"title":"A","description":"d","actions":[{"label":"x","url":"JaVaScRiPt:alert(1)"}]}]}`}, []string{"agent Ann: a", "agent Ann: A\nd"}, false},
		"a javascript picture":            {map[string]string{"type": `"carousel"`, "content": `{"text":"a","targets":[{"title":"A","description":"d","image":"javascript:alert(1)","actions":[]}]}`}, []string{"agent Ann: a", "agent Ann: A\nd"}, false},
		"a choice without a label":        {map[string]string{"type": `"picker"`, "content": `{"id":"x","text":"Which?","choices":[{"value":"red"},{"value":"b","label":"Blue"}]}`}, []string{"agent Ann: Which? [red] [Blue]"}, false},
		"wrong types in a picker":         {map[string]string{"type": `"picker"`, "content": `{"id":7,"text":"Which?","choices":"none"}`}, nil, true},
	} {
		{
			t.Run(name, func(t *testing.T) {
				var g rogue
				o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) { g.config(r, c) }}
				rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
					r.After(time.Minute)
					raw := badMessage(time.Now(), tt.members)
					g.extra.Store(raw)
					head := fmt.Sprintf(`"website_id":%q,"session_id":%q,`, r.Crisp.WebsiteID(), conv.ID())
					body := fmt.Sprintf(`{"website_id":%q,"event":"message:received","timestamp":%d,"data":{%s%s}`,
						r.Crisp.WebsiteID(), time.Now().UnixMilli(), head, raw[1:])
					w := r.Hooked(r.Signed([]byte(body)))
					require.Equal(t, 200, w.Code, "valid signed JSON is never refused for its content")
					r.After(time.Second)
					ann.Say("and on")
					r.After(time.Minute)
					lines := r.Saw()
					for i, l := range lines {
						if strings.HasPrefix(l, "system: ") {
							lines[i] = "" // an author of another name is announced
						}
					}
					require.Equal(t, append(tt.want, "agent Ann: and on"), rig.AgentsIn(lines), "it holds nothing up")
					notes := rig.Kinds(conv)
					require.Equal(t, tt.note, strings.Contains(strings.Join(notes, "\n"), notShown))
					require.Equal(t, handover.StateActive, r.Session().State)
				})
			})
		}
	}
}

func TestBadAvatarsAreDropped(t *testing.T) {
	for avatar, want := range map[string]string{
		"https://example.com/a.png": "https://example.com/a.png", "javascript:alert(1)": "", "//evil": "", "data:image/png;base64,AAAA": "",
	} {
		var g rogue
		rig.Active(t, rig.Options{Config: g.config}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			g.extra.Store(badMessage(time.Now(), map[string]string{"user": fmt.Sprintf(`{"nickname":"Bob","avatar":%q}`, avatar)}))
			ann.Note("look")
			r.Saw()
			require.Equal(t, "Bob", r.Last().Agent.Name)
			require.Equal(t, want, r.Last().Agent.Avatar)
		})
	}
}

func TestLongTextOfAnAgentComesInParts(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{MaxText: -1}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		text := strings.Repeat("some words and then \U0001F600 ", 4000)
		require.Greater(t, len(text), 90_000)
		fp := ann.Say(text)
		ann.Say("and on")
		r.Crisp.Settle()
		var words []string
		ids := map[string]bool{}
		for _, m := range r.Shown()[3 : len(r.Shown())-1] {
			require.LessOrEqual(t, len(m.Content.Text), 4000)
			require.False(t, ids[m.ID])
			ids[m.ID] = true
			words = append(words, strings.Fields(m.Content.Text)...)
		}
		require.Equal(t, strings.Fields(text), words, "nothing is cut, and all is in order")
		require.Equal(t, "and on", r.Last().Content.Text)
		m, _ := conv.Message(fp)
		require.NotEmpty(t, m.Read, "marked once all of it was shown")
	})
}

func TestEditsOfBadMessages(t *testing.T) {
	for name, content := range map[string]string{
		"a number": "42", "an object": `{"text":"leaked?"}`, "null": "null", "empty": `""`, "nested": strings.Repeat("[", 50) + strings.Repeat("]", 50),
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				fp := ann.Say("at five")
				r.Saw()
				r.Crisp.SetFaults(func(c handovertest.CallInfo) handovertest.Fault {
					if c.Method == "GET" {
						return handovertest.Fault{Status: 503} // only the hook is known
					}
					return handovertest.Fault{}
				})
				body := fmt.Sprintf(`{"website_id":%q,"event":"message:updated","timestamp":1,"data":{"session_id":%q,"fingerprint":%d,"content":%s}}`,
					r.Crisp.WebsiteID(), conv.ID(), fp, content)
				require.Equal(t, 200, r.Hooked(r.Signed([]byte(body))).Code)
				r.After(time.Minute)
				require.Empty(t, r.Saw())
				r.Crisp.Heal()
				ann.Say("and on")
				r.After(time.Minute)
				require.Equal(t, []string{"agent Ann: and on"}, rig.AgentsIn(r.Saw()))
			})
		})
	}
}

func TestAnswersOfCrispThatAreCutOrRubbish(t *testing.T) {
	for name, f := range map[string]handovertest.Fault{
		"cut":          {CutBody: true},
		"not JSON":     {Status: 200, Body: "<html>"},
		"no messages":  {Status: 200, Body: `{"error":false,"reason":"listed","data":{}}`},
		"wrong types":  {Status: 200, Body: `{"error":false,"reason":"listed","data":"none"}`},
		"empty":        {Status: 200, NoBody: true},
		"nested":       {Status: 200, Body: `{"data":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`},
		"list of junk": {Status: 200, Body: `{"data":[1,null,"x",[],{}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				f.Route = handovertest.RouteMessages
				r.Crisp.Fail(2, f)
				ann.Say("one")
				ann.Say("two")
				r.After(time.Minute)
				require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, rig.AgentsIn(rig.Unlate(r.Saw())), "in the log's order, each once")
				ann.Resolve()
				r.After(time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State)
			})
		})
	}
}

func TestOddCreateAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"a path":     `{"data":{"session_id":"session_../../x"}}`,
		"a query":    `{"data":{"session_id":"session_a?b=c"}}`,
		"percent":    `{"data":{"session_id":"session_%2e%2e"}}`,
		"NUL":        `{"data":{"session_id":"session_\u0000"}}`,
		"no id":      `{"data":{}}`,
		"a number":   `{"data":{"session_id":7}}`,
		"not JSON":   `hello`,
		"other case": `{"data":{"Session_ID":"session_abc"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Status: 201, Body: body})
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}), "asked once more")
				require.Len(t, r.Crisp.Conversations(), 1)
				require.Equal(t, r.Crisp.Last().ID(), r.Session().CrispID)
			})
		})
	}
}

func TestALongTextIsTakenUpToItsLimit(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		text := strings.Repeat("0123456789", 10_000)
		require.False(t, r.Says(text).Bot, "100 kB pass")
		require.Equal(t, text, strings.Join(rig.UserTexts(conv)[1:], ""))
		_, err := r.Receive(handover.Incoming{Text: text + "!"})
		require.ErrorIs(t, err, handover.ErrBadMessage)
		require.ErrorContains(t, err, "Limits.Text")
	})
}

// A message that cannot be used is reported, once, even if it stands in the log where no read looks.
func TestAMessageThatTheLogDoesNotShowIsReported(t *testing.T) {
	for name, write := range map[string]func(*handovertest.Operator){
		"in the year 11000": func(ann *handovertest.Operator) { ann.At(time.Now().AddDate(9000, 0, 0).UnixMilli()).Say("odd") },
		"at 0":              func(ann *handovertest.Operator) { ann.At(0).Say("odd") },
		"and by no number":  func(ann *handovertest.Operator) { ann.At(-1).Fingerprint(0).Say("odd") },
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				for i := range 50 { // so that its place in the log is not on the newest page
					ann.Say(fmt.Sprint("words ", i))
				}
				r.After(time.Minute)
				r.Saw()
				write(ann)
				ann.Say("next")
				r.After(time.Minute)
				require.Equal(t, []string{"agent Ann: next"}, r.Saw())
				require.Equal(t, 1, strings.Count(strings.Join(rig.Kinds(conv), "\n"), notShown))
				require.Equal(t, 1, r.Count(handover.ActivityNotShown))
			})
		})
	}
	t.Run("a note is nobody's to send again", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			ann.At(time.Now().AddDate(9000, 0, 0).UnixMilli()).Note("private")
			r.After(time.Minute)
			require.NotContains(t, rig.Kinds(conv), notShown)
		})
	})
}

// A message dated in the future is on no page before a time: it is read all the same where its hook, which
// is not signed, only says that it is there.
func TestAMessageDatedInTheFutureIsRead(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{Hooks: handovertest.WebsiteHooks}, Config: func(r *rig.Rig, c *handover.Config) {
		c.Webhook = handover.Webhook{URLKeys: r.HookKeys()}
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		r.Saw()
		ann.At(time.Now().AddDate(1, 0, 0).UnixMilli()).Say("next year")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: next year"}, r.Saw())
		ann.Say("now")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: now"}, r.Saw())
		require.False(t, r.Last().Late)
	})
}

// An avatar is shown in pages: only a link that may be shown is passed on.
func TestAvatarsOfAgents(t *testing.T) {
	for avatar, want := range map[string]string{
		"https://a.example/ann.png":          "https://a.example/ann.png",
		"HTTPS://a.example/ann.png":          "HTTPS://a.example/ann.png",
		"http://me:pw@10.0.0.1/x":            "",
		"https://a.example/\" onerror=\"x()": "",
		"https://":                           "",
		"javascript:x()":                     "",
	} {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			ann := r.Opened().Operator("Ann")
			ann.Avatar(avatar).Say("Hello")
			r.Crisp.Settle()
			require.Equal(t, want, r.Last().Agent.Avatar, avatar)
			require.Equal(t, "Hello", r.Last().Content.Text)
		})
	}
}
