package handovertest_test

import (
	"net/http"
	"testing"

	"github.com/crisp-im/go-crisp-api/crisp/v3"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// official returns Crisp's own Go client, unmodified, logged in to c.
func official(c *handovertest.Crisp, client *http.Client) *crisp.Client {
	out := crisp.NewWithConfig(crisp.ClientConfig{HTTPClient: client, RestEndpointURL: c.URL()})
	identifier, key := c.Token()
	out.AuthenticateTier(c.Tier(), identifier, key)
	return out
}

func TestOfficialClientWorks(t *testing.T) {
	for _, over := range []string{"in process", "over a socket"} {
		t.Run(over, func(t *testing.T) {
			c := handovertest.NewCrisp(t, handovertest.Options{})
			client := c.Client()
			if over == "over a socket" {
				require.NoError(t, c.Listen())
				transport := &http.Transport{}
				t.Cleanup(transport.CloseIdleConnections)
				client = &http.Client{Transport: transport}
			}
			api := official(c, client).Website
			site := c.WebsiteID()

			created, response, err := api.CreateNewConversation(site)
			require.NoError(t, err)
			require.Equal(t, http.StatusCreated, response.StatusCode)
			sid := *created.SessionID
			require.Equal(t, sid, c.Last().ID())
			_, err = api.CheckConversationExists(site, sid)
			require.NoError(t, err)

			_, err = api.UpdateConversationMetas(site, sid, crisp.ConversationMetaUpdate{
				Nickname: "Anakin Skywalker", Email: "anakin@example.com", Phone: "0605776995",
				Segments: &[]string{"Customer"},
				Data:     map[string]any{"gtu_accepted": "false", "seats": 3, "vip": true},
			})
			require.NoError(t, err)
			metas, _, err := api.GetConversationMetas(site, sid)
			require.NoError(t, err)
			require.Equal(t, "Anakin Skywalker", *metas.Nickname)
			require.Equal(t, []string{"Customer"}, *metas.Segments)
			require.Equal(t, map[string]any{"gtu_accepted": "false", "seats": 3.0, "vip": true}, *metas.Data)

			sent, _, err := api.SendTextMessageInConversation(site, sid, crisp.ConversationTextMessageNew{
				Type: "text", From: "user", Origin: "chat", Content: "Hi", Fingerprint: 123456789012345,
			})
			require.NoError(t, err)
			require.Equal(t, 123456789012345, *sent.Fingerprint)
			_, _, err = api.SendNoteMessageInConversation(site, sid, crisp.ConversationNoteMessageNew{
				Type: "note", From: "operator", Origin: "chat", Content: "private",
			})
			require.NoError(t, err)
			_, _, err = api.SendPickerMessageInConversation(site, sid, crisp.ConversationPickerMessageNew{
				Type: "picker", From: "operator", Origin: "chat",
				Content: crisp.ConversationPickerMessageNewContent{ID: "p", Text: "Which?",
					Choices: []crisp.ConversationPickerMessageNewContentChoice{{Value: "a", Label: "A"}}},
			})
			require.NoError(t, err)
			c.Last().Operator("Ann").Say("Hello")

			messages, _, err := api.GetMessagesInConversationLast(site, sid)
			require.NoError(t, err)
			require.Len(t, *messages, 4)
			first := (*messages)[0]
			require.Equal(t, "user", *first.From)
			require.Equal(t, "Hi", *first.Content)
			require.Equal(t, "Anakin Skywalker", *first.User.Nickname)
			one, _, err := api.GetMessageInConversation(site, sid, 123456789012345)
			require.NoError(t, err)
			require.Equal(t, first, *one)
			older, _, err := api.GetMessagesInConversationBefore(site, sid, uint(*(*messages)[1].Timestamp))
			require.NoError(t, err)
			require.Equal(t, (*messages)[:1], *older)

			state, _, err := api.GetConversationState(site, sid)
			require.NoError(t, err)
			require.Equal(t, "unresolved", *state.State)
			_, err = api.ChangeConversationState(site, sid, "resolved")
			require.NoError(t, err)
			require.Equal(t, "resolved", c.Last().State())

			_, err = api.UpdateTextMessageInConversation(site, sid, 123456789012345, "Hi!")
			require.NoError(t, err)
			_, err = api.MarkMessagesReadInConversation(site, sid, crisp.ConversationReadMessageMark{
				From: "operator", Origin: "chat", Fingerprints: []int{*(*messages)[3].Fingerprint},
			})
			require.NoError(t, err)
			_, err = api.ComposeMessageInConversation(site, sid, crisp.ConversationComposeMessageNew{Type: "start", From: "user"})
			require.NoError(t, err)
			conversation, _, err := api.GetConversation(site, sid)
			require.NoError(t, err)
			require.Equal(t, uint8(2), *conversation.Status)
			require.Equal(t, "start", *conversation.Compose.Visitor.Type)
			all, response, err := api.ListConversations(site, 1)
			require.NoError(t, err)
			require.Equal(t, http.StatusPartialContent, response.StatusCode)
			require.Len(t, *all, 1)

			status, _, err := api.GetWebsiteAvailabilityStatus(site)
			require.NoError(t, err)
			require.Equal(t, "online", *status.Status)
			operators, _, err := api.ListWebsiteOperators(site)
			require.NoError(t, err)
			require.Equal(t, "Ann", *(*operators)[0].Details.FirstName)
			require.Equal(t, []string{
				"user (edited): Hi!", "operator (note): private", "operator (picker): Which?", "Ann: Hello",
			}, c.Last().Transcript())
			require.Equal(t, "chat", c.Last().Messages()[3].Read)
			require.Empty(t, c.Last().Messages()[2].Read)
		})
	}
}
