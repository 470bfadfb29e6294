package whatsapp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// hookBody is a post with these messages to our number.
func hookBody(messages ...string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"account","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",
		"metadata":{"display_phone_number":"15550000000","phone_number_id":"1555"},
		"contacts":[{"wa_id":"4915112345678","user_id":"DE.7","profile":{"name":"Joe"}}],"messages":[` + strings.Join(messages, ",") + `]}}]}]}`
}

// userMessage is a message of the user with these members.
func userMessage(members string) string {
	return `{"from":"4915112345678","from_user_id":"DE.7","id":"wamid.1","timestamp":"1700000000",` + members + `}`
}

func mediaFile(id, name, kind string) handover.File {
	return handover.File{ID: id, Name: name, MIMEType: kind}
}

func TestIncoming(t *testing.T) {
	for name, c := range map[string]struct {
		message string
		want    handover.Incoming
	}{
		"text":                 {`"type":"text","text":{"body":"Hello"}`, handover.Incoming{Text: "Hello"}},
		"a reply":              {`"type":"text","text":{"body":"This one"},"context":{"from":"15550000000","id":"wamid.0"}`, handover.Incoming{Text: "This one"}},
		"reply button":         {`"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"RED","title":"Red"}}`, handover.Incoming{Text: "Red", Payload: "RED"}},
		"list":                 {`"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"RED","title":"Red","description":"Like fire"}}`, handover.Incoming{Text: "Red", Payload: "RED"}},
		"button of a template": {`"type":"button","button":{"text":"Stop","payload":"STOP"}`, handover.Incoming{Text: "Stop", Payload: "STOP"}},
		"image":                {`"type":"image","image":{"id":"7","mime_type":"image/jpeg","sha256":"x","caption":"My bike"}`, handover.Incoming{Text: "My bike", Files: []handover.File{mediaFile("7", "", "image/jpeg")}}},
		"voice":                {`"type":"audio","audio":{"id":"7","mime_type":"audio/ogg; codecs=opus","voice":true}`, handover.Incoming{Files: []handover.File{mediaFile("7", "", "audio/ogg")}}},
		"video":                {`"type":"video","video":{"id":"7","mime_type":"video/mp4"}`, handover.Incoming{Files: []handover.File{mediaFile("7", "", "video/mp4")}}},
		"document":             {`"type":"document","document":{"id":"7","mime_type":"application/pdf","filename":"bill.pdf"}`, handover.Incoming{Files: []handover.File{mediaFile("7", "bill.pdf", "application/pdf")}}},
		"sticker":              {`"type":"sticker","sticker":{"id":"7","mime_type":"image/webp","animated":false}`, handover.Incoming{Files: []handover.File{mediaFile("7", "", "image/webp")}}},
		"a file without id":    {`"type":"image","image":{"caption":"My bike"}`, handover.Incoming{Text: "My bike\n(image)"}},
		"location": {`"type":"location","location":{"latitude":48.8584,"longitude":2.2945,"name":"Eiffel Tower","address":"Paris","url":"https://a.invalid"}`,
			handover.Incoming{Text: "Location: 48.858400, 2.294500\nEiffel Tower\nParis\nhttps://a.invalid"}},
		"contacts": {`"type":"contacts","contacts":[{"name":{"formatted_name":"Ann Lee"},"phones":[{"phone":"+49 1"},{"phone":"+49 2"}],"emails":[{"email":"a@b.invalid"}]},{"name":{"formatted_name":"Bob"},"org":{"company":"Acme"}}]`,
			handover.Incoming{Text: "Contact: Ann Lee, +49 1, +49 2, a@b.invalid\nContact: Bob, Acme"}},
		"order":          {`"type":"order","order":{"text":"Please","product_items":[{"product_retailer_id":"bike","quantity":2}]}`, handover.Incoming{Text: "Please\nOrder:\n2 × bike"}},
		"edit":           {`"type":"edit","edit":{"original_message_id":"wamid.0","message":{"type":"text","text":{"body":"Hello!"}}}`, handover.Incoming{Text: "Hello!", Edits: "wamid.0"}},
		"unsupported":    {`"type":"unsupported","errors":[{"code":131051}]`, handover.Incoming{Text: "(a message that WhatsApp does not pass on)"}},
		"something new":  {`"type":"hologram","hologram":{}`, handover.Incoming{Text: "(hologram)"}},
		"an SDK's value": {`"type":"text","text":{"body":"Hello"},"image":null,"edit":null,"contacts":null`, handover.Incoming{Text: "Hello"}},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := newChannel(t).Incoming(t.Context(), []byte(hookBody(userMessage(c.message))))
			require.NoError(t, err)
			c.want.Conversation = handover.Conversation{Source: "whatsapp", ID: "4915112345678"}
			c.want.ID, c.want.At, c.want.Seq = "wamid.1", time.Unix(1700000000, 0), 1700000000
			require.Equal(t, []handover.Incoming{c.want}, all)
		})
	}
}

// TestUserName has a user who has a user name in place of a phone number.
func TestUserName(t *testing.T) {
	c := newChannel(t)
	all, err := c.Incoming(t.Context(), []byte(strings.ReplaceAll(hookBody(`{"from_user_id":"DE.7","id":"wamid.1","timestamp":1700000000,"type":"text","text":{"body":"Hello"}}`), `"wa_id":"4915112345678",`, "")))
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, "DE.7", all[0].Conversation.ID)
	require.Equal(t, time.Unix(1700000000, 0), all[0].At, "as a number")
	require.Equal(t, handover.UserData{FirstName: "Joe"}, c.User(all[0].Conversation))

	_, err = c.Incoming(t.Context(), []byte(hookBody(userMessage(`"type":"text","text":{"body":"Hello"}`))))
	require.NoError(t, err)
	require.Equal(t, handover.UserData{FirstName: "Joe", Phone: "+4915112345678"}, c.User(handover.Conversation{ID: "4915112345678"}))
	require.Equal(t, handover.UserData{Phone: "+1"}, c.User(handover.Conversation{ID: "1"}))
	require.Zero(t, c.User(handover.Conversation{ID: "DE.8"}))
}

// TestIgnored has what is no message of a user to this number.
func TestIgnored(t *testing.T) {
	text := userMessage(`"type":"text","text":{"body":"Hello"}`)
	for name, body := range map[string]string{
		"reaction":               hookBody(userMessage(`"type":"reaction","reaction":{"message_id":"wamid.0","emoji":"\u2764"}`)),
		"revoke":                 hookBody(userMessage(`"type":"revoke","revoke":{"original_message_id":"wamid.0"}`)),
		"a new number":           hookBody(userMessage(`"type":"system","system":{"body":"User changed","type":"user_changed_number"}`)),
		"a group":                hookBody(userMessage(`"group_id":"g","type":"text","text":{"body":"Hello"}`)),
		"empty":                  hookBody(userMessage(`"type":"text","text":{"body":""}`)),
		"without an id":          hookBody(strings.Replace(text, "wamid.1", "", 1)),
		"nobody":                 hookBody(`{"id":"wamid.1","type":"text","text":{"body":"Hello"}}`),
		"another number":         strings.Replace(hookBody(text), `"1555"`, `"1556"`, 1),
		"no number":              strings.Replace(hookBody(text), `"phone_number_id":"1555"`, `"x":"1555"`, 1),
		"another field":          strings.Replace(hookBody(text), `"field":"messages"`, `"field":"smb_message_echoes"`, 1),
		"another product":        strings.Replace(hookBody(text), `"whatsapp_business_account"`, `"page"`, 1),
		"what we wrote":          strings.Replace(hookBody(text), `"messages":[`, `"message_echoes":[`, 1),
		"statuses":               strings.Replace(hookBody(`{"id":"wamid.0","status":"read","recipient_id":"4915112345678"}`), `"messages":[`, `"statuses":[`, 1),
		"nothing":                `{}`,
		"a change without value": `{"entry":[{"changes":[{"field":"messages"}]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			all, err := newChannel(t).Incoming(t.Context(), []byte(body))
			require.NoError(t, err)
			require.Empty(t, all)
		})
	}
	for _, body := range []string{``, `{"entry":`, `{"entry":"x"}`, `[]`} {
		_, err := newChannel(t).Incoming(t.Context(), []byte(body))
		require.ErrorIs(t, err, errBody, body)
	}
}

// TestOddMessage has a message that is not as Meta documents it among others.
func TestOddMessage(t *testing.T) {
	all, err := newChannel(t).Incoming(t.Context(), []byte(hookBody(
		userMessage(`"type":"text","text":{"body":"one"}`), userMessage(`"type":"text","text":{"body":2}`), `7`, userMessage(`"type":"text","text":{"body":"three"}`))))
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "three", all[1].Text)
}

func FuzzIncoming(f *testing.F) {
	f.Add(hookBody(userMessage(`"type":"image","image":{"id":"7","mime_type":"image/jpeg","caption":"My bike"}`)))
	f.Add(hookBody(userMessage(`"type":"edit","edit":{"original_message_id":"wamid.0","message":{"type":"text","text":{"body":"Hello!"}}}`)))
	f.Add(hookBody(userMessage(`"type":"contacts","contacts":[{"phones":[{}]}]`)))
	f.Fuzz(func(t *testing.T, body string) {
		all, err := newChannel(t).Incoming(t.Context(), []byte(body))
		require.True(t, err == nil || len(all) == 0)
		for _, m := range all {
			require.NotEmpty(t, m.ID)
			require.NotEmpty(t, m.Conversation.ID)
			require.True(t, m.Text != "" || m.Payload != "" || len(m.Files) > 0)
		}
	})
}
