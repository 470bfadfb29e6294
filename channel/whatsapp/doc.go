// Package whatsapp has a bot's users on WhatsApp, by Meta's Cloud API.
//
//	number, err := whatsapp.New(whatsapp.Config{
//		PhoneNumberID: os.Getenv("WHATSAPP_PHONE_NUMBER_ID"),
//		Token:         handover.NewSecret(os.Getenv("WHATSAPP_TOKEN")),
//		AppSecret:     handover.NewSecret(os.Getenv("WHATSAPP_APP_SECRET")),
//		VerifyToken:   handover.NewSecret(os.Getenv("WHATSAPP_VERIFY_TOKEN")),
//	})
//	config.Files = handover.FileLinks{…} // what users send needs the token
//	chats, err := channel.Attach(&config, number) // config.Answer speaks with chats.Send
//	h, err := handover.New(config)
//	http.Handle("/whatsapp", number.Webhook(h.Handle))
//	http.Handle("GET /files", h.FileHandler())
//
// docs/whatsapp.md says where at Meta the settings are, which events the web hook needs, and what Meta's limits mean.
//
// What users write, press, choose, send and edit comes in; so do locations, contacts and orders, as text. What other
// numbers and groups say, reactions and receipts do not. Up to three choices are buttons, up to ten a list. The Cloud
// API can neither edit nor remove what was sent: an edit by an agent is a new message.
package whatsapp
