package telegram

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
)

// from begins a message of Jim's, as the Bot API documents it.
const from = `"message_id":5,"date":1700000000,"from":{"id":7,"is_bot":false,"first_name":"Jim"},"chat":{"id":7,"type":"private"}`

func TestIncoming(t *testing.T) {
	group := strings.Replace(from, `"private"`, `"supergroup"`, 1)
	file := func(id, name, mime string, d time.Duration) []handover.File {
		return []handover.File{{ID: id, Name: name, MIMEType: mime, Size: 9, Duration: d}}
	}
	for name, tt := range map[string]struct {
		update string
		want   handover.Incoming // without what all have
		none   bool
	}{
		"text":             {update: `"message":{` + from + `,"text":"hello"}`, want: handover.Incoming{Text: "hello"}},
		"a command":        {update: `"message":{` + from + `,"text":"/start","entities":[{"type":"bot_command","offset":0,"length":6}]}`, want: handover.Incoming{Text: "/start"}},
		"a reply":          {update: `"message":{` + from + `,"text":"yes","reply_to_message":{"message_id":4,"text":"really?"}}`, want: handover.Incoming{Text: "yes"}},
		"an edit":          {update: `"edited_message":{` + from + `,"edit_date":1700000009,"text":"hallo"}`, want: handover.Incoming{ID: "edit 3", Edits: "5", Text: "hallo", At: time.Unix(1700000009, 0)}},
		"a picture":        {update: `"message":{` + from + `,"caption":"my bike","photo":[{"file_id":"s","width":90,"height":90},{"file_id":"l","file_size":9,"width":900,"height":900},{"file_id":"m","width":300,"height":300}]}`, want: handover.Incoming{Text: "my bike", Files: file("l", "", "image/jpeg", 0)}},
		"a recording":      {update: `"message":{` + from + `,"voice":{"file_id":"v","file_size":9,"mime_type":"audio/ogg","duration":3}}`, want: handover.Incoming{Files: file("v", "", "audio/ogg", 3*time.Second)}},
		"a video":          {update: `"message":{` + from + `,"video":{"file_id":"v","file_size":9,"duration":3}}`, want: handover.Incoming{Files: file("v", "", "video/mp4", 3*time.Second)}},
		"a round video":    {update: `"message":{` + from + `,"video_note":{"file_id":"v","file_size":9,"duration":3}}`, want: handover.Incoming{Files: file("v", "", "video/mp4", 3*time.Second)}},
		"music":            {update: `"message":{` + from + `,"audio":{"file_id":"v","file_size":9,"file_name":"a.mp3","duration":3}}`, want: handover.Incoming{Files: file("v", "a.mp3", "audio/mpeg", 3*time.Second)}},
		"a document":       {update: `"message":{` + from + `,"document":{"file_id":"d","file_size":9,"file_name":"bill.pdf","mime_type":"application/pdf"}}`, want: handover.Incoming{Files: file("d", "bill.pdf", "application/pdf", 0)}},
		"a GIF":            {update: `"message":{` + from + `,"animation":{"file_id":"a","file_size":9},"document":{"file_id":"a"}}`, want: handover.Incoming{Files: file("a", "", "video/mp4", 0)}},
		"a sticker":        {update: `"message":{` + from + `,"sticker":{"file_id":"x","emoji":"👍"}}`, want: handover.Incoming{Text: "👍"}},
		"a place":          {update: `"message":{` + from + `,"location":{"latitude":52.5200066,"longitude":13.404954}}`, want: handover.Incoming{Text: "📍 52.520007,13.404954\nhttps://maps.google.com/?q=52.520007,13.404954"}},
		"a venue":          {update: `"message":{` + from + `,"venue":{"title":"Shop","address":"Street 1"},"location":{"latitude":1,"longitude":-2}}`, want: handover.Incoming{Text: "Shop\nStreet 1\n📍 1.000000,-2.000000\nhttps://maps.google.com/?q=1.000000,-2.000000"}},
		"a contact":        {update: `"message":{` + from + `,"contact":{"phone_number":"+1555","first_name":"Ann","last_name":"Lee"}}`, want: handover.Incoming{Text: "👤 Ann Lee\n+1555"}},
		"a die":            {update: `"message":{` + from + `,"dice":{"emoji":"🎲","value":3}}`, want: handover.Incoming{Text: "🎲"}},
		"a poll":           {update: `"message":{` + from + `,"poll":{"question":"Tea?"}}`, want: handover.Incoming{Text: "Tea?"}},
		"a poll's options": {update: `"message":{` + from + `,"poll":{"question":"Which?","options":[{"text":"Red"},{"text":"Blue"}]}}`, want: handover.Incoming{Text: "Which?\n- Red\n- Blue"}},
		"a checklist":      {update: `"message":{` + from + `,"checklist":{"title":"Broken","tasks":[{"id":1,"text":"Door"}]}}`, want: handover.Incoming{Text: "Broken\n- Door"}},
		"a game":           {update: `"message":{` + from + `,"game":{"title":"Chess","description":"d","photo":[]}}`, want: handover.Incoming{Text: "Chess"}},
		"a story":          {update: `"message":{` + from + `,"story":{"id":1,"chat":{"id":5,"type":"private"}}}`, want: handover.Incoming{Text: "(story)"}},
		"paid media":       {update: `"message":{` + from + `,"paid_media":{"star_count":1}}`, want: handover.Incoming{Text: "(paid media)"}},
		"a gift":           {update: `"message":{` + from + `,"gift":{"gift":{"id":"1"}}}`, want: handover.Incoming{Text: "(gift)"}},
		"words, and more":  {update: `"message":{` + from + `,"text":"hello","hologram":{}}`, want: handover.Incoming{Text: "hello"}},
		"a pinned message": {update: `"message":{` + from + `,"pinned_message":{"message_id":4,"text":"x"}}`, none: true},
		"a button":         {update: `"callback_query":{"id":"q","from":{"id":7},"data":"yes","message":{"message_id":4,"date":1,"chat":{"id":7,"type":"private"},"reply_markup":{"inline_keyboard":[[{"text":"Yes!","callback_data":"yes"}]]}}}`, want: handover.Incoming{ID: "press q", Text: "Yes!", Payload: "yes", At: time.Time{}}},
		"an old button":    {update: `"callback_query":{"id":"q","from":{"id":7},"data":"~forgotten","message":{"message_id":4,"date":1,"chat":{"id":7,"type":"private"},"reply_markup":{"inline_keyboard":[[{"text":"Yes!","callback_data":"~forgotten"}]]}}}`, want: handover.Incoming{ID: "press q", Text: "Yes!"}},
		"a bot":            {update: `"message":{"message_id":5,"from":{"id":8,"is_bot":true},"chat":{"id":7,"type":"private"},"text":"x"}`, none: true},
		"a group":          {update: `"message":{` + group + `,"text":"x"}`, none: true},
		"a channel's post": {update: `"channel_post":{"message_id":5,"chat":{"id":-7,"type":"channel"},"text":"x"}`, none: true},
		"somebody joins":   {update: `"message":{` + from + `,"new_chat_members":[]}`, none: true},
		"nothing":          {update: `"message":null`, none: true},
		"a button far off": {update: `"callback_query":{"id":"q","from":{"id":7},"inline_message_id":"1","data":"x"}`, none: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newOn(t, channeltest.NewTelegram(), nil)
			in, ok, err := c.Incoming(t.Context(), []byte(`{"update_id":3,`+tt.update+`}`))
			require.NoError(t, err)
			require.Equal(t, !tt.none, ok)
			if tt.none {
				return
			}
			want := tt.want
			want.Conversation, want.Seq = handover.Conversation{Source: "telegram", ID: "7"}, 3
			if want.ID == "" {
				want.ID, want.At = "5", time.Unix(1700000000, 0)
			}
			require.Equal(t, want, in)
		})
	}
}

func TestIncomingInGroupsAndWithQuotes(t *testing.T) {
	fake := channeltest.NewTelegram()
	c, err := New(Config{Token: handover.NewSecret(fake.Token()), Groups: true, Quotes: true, Source: "bikes"})
	require.NoError(t, err)
	in, ok, err := c.Incoming(t.Context(), []byte(`{"update_id":3,"message":{"message_id":5,"from":{"id":7},"chat":{"id":-100,"type":"group"},"text":"yes","reply_to_message":{"message_id":4,"text":"really\nso?"}}}`))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, handover.Conversation{Source: "bikes", ID: "-100"}, in.Conversation)
	require.Equal(t, "> really so?\nyes", in.Text)
}

func TestIncomingRefuses(t *testing.T) {
	c := newOn(t, channeltest.NewTelegram(), nil)
	for _, raw := range []string{"", "[]", "7", `"x"`, `{"update_id":"x"}`, `{"update_id":1,"message":[]}`} {
		_, ok, err := c.Incoming(t.Context(), []byte(raw))
		require.ErrorIs(t, err, errNotJSON, raw)
		require.False(t, ok)
	}
}

func FuzzIncoming(f *testing.F) {
	f.Add([]byte(`{"update_id":3,"message":{` + from + `,"text":"hello"}}`))
	f.Add([]byte(`{"update_id":3,"callback_query":{"id":"q","from":{"id":7},"data":"yes","message":{"chat":{"id":7,"type":"private"}}}}`))
	f.Add([]byte(`{"update_id":3,"edited_message":{` + from + `,"photo":[{"file_id":"s"}],"video_note":{"duration":-9223372036854775808}}}`))
	c, err := New(Config{Token: handover.NewSecret("1:x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, ok, err := c.Incoming(t.Context(), raw)
		if err != nil || !ok {
			return
		}
		require.Equal(t, "telegram", in.Conversation.Source)
		require.NotEmpty(t, in.ID)
		require.NotEmpty(t, in.Conversation.ID)
	})
}

func TestOpenFile(t *testing.T) {
	fake := channeltest.NewTelegram()
	c := newOn(t, fake, nil)
	fake.File("voice", "", "audio/ogg", "", []byte("sound"))
	in, ok, err := c.Incoming(t.Context(), fake.Updates()[0])
	require.NoError(t, err)
	require.True(t, ok)
	file, err := c.OpenFile(t.Context(), in.Conversation, in.Files[0].ID)
	require.NoError(t, err)
	content, err := io.ReadAll(file.Body)
	require.NoError(t, err)
	require.NoError(t, file.Body.Close())
	require.Equal(t, "sound", string(content))
	require.Equal(t, int64(5), file.Size)

	_, err = c.OpenFile(t.Context(), in.Conversation, "another")
	require.Error(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", err), fake.Token())
}

// TestLongPayloadsSurviveARestart has a button pressed whose payload Telegram does not take.
func TestLongPayloadsSurviveARestart(t *testing.T) {
	fake, sent := channeltest.NewTelegram(), &channel.Memory{}
	payload := strings.Repeat("long ", 30)
	press := func(sent channel.Sent) handover.Incoming {
		require.True(t, fake.Press("Yes"))
		in, ok, err := newOn(t, fake, sent).Incoming(t.Context(), fake.Updates()[0])
		require.NoError(t, err)
		require.True(t, ok)
		return in
	}
	require.NoError(t, newOn(t, fake, sent).Send(t.Context(), "7", handover.RichMessage{Text: "Sure?", QuickReplies: []handover.QuickReply{{Title: "Yes", Payload: payload}}}))
	require.Equal(t, payload, press(sent).Payload)
	in := press(&channel.Memory{}) // a host that keeps nothing
	require.Empty(t, in.Payload)
	require.Equal(t, "Yes", in.Text, "the title says it")
}
