// Package messenger has a bot's users in Facebook Messenger.
//
//	page, err := messenger.New(messenger.Config{
//		PageID:      os.Getenv("MESSENGER_PAGE_ID"),
//		Token:       handover.NewSecret(os.Getenv("MESSENGER_TOKEN")),
//		AppSecret:   handover.NewSecret(os.Getenv("MESSENGER_APP_SECRET")),
//		VerifyToken: handover.NewSecret(os.Getenv("MESSENGER_VERIFY_TOKEN")),
//	})
//	chats, err := channel.Attach(&config, page) // config.Answer speaks with chats.Send
//	h, err := handover.New(config)
//	http.Handle("/messenger", page.Webhook(h.Handle))
//
// docs/messenger.md says where at Meta the settings are, which events the web hook needs, and what Meta's limits mean.
//
// What users write, press, send and edit comes in; so do locations and links, as text. What other apps and pages,
// Instagram, the page itself and receipts say does not. Agents speak by their name and picture, as personas, where
// Meta makes one. Messenger can neither edit nor remove what was sent: an edit by an agent is a new message.
package messenger
