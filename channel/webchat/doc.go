// Package webchat is a chat for a host's own web site: a button on any page, the chat that it opens, and the channel
// behind it, through which a bot and, by package handover, human agents in Crisp talk with the user.
//
//	chat, err := webchat.New(webchat.Config{
//		URL: "https://shop.example/chat/", Key: handover.NewSecret(os.Getenv("CHAT_KEY")), // 32 random bytes
//	})
//	config.Answer = func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
//		return nil, chat.SendOnce(ctx, m.Conversation.ID, m.ID, handover.TextMessage(bot.Answer(m.Text)))
//	}
//	err = chat.Attach(&config) // agents' messages, edits, typing, the history page
//	h, err := handover.New(config)
//	http.Handle("/chat/", chat.Handler(h))
//
// and on each page of the site
//
//	<script src="/chat/widget.js" defer></script>
//
// # The page
//
// The widget's script shows a button, and the chat in a frame of ours. A frame keeps the styles and scripts of the two
// pages apart, and has a strict Content-Security-Policy of its own, with Trusted Types, whatever the host's page has.
// The host's policy needs script-src and frame-src 'self', or the chat's origin, and no more. Nothing comes from a
// third party: agents' pictures are fetched from Crisp by the Handler. [Config.URL] is also a page by itself, for a
// link.
//
// The script tag takes data-session (see below), data-locale (such as "fr"; else the lang of the page, else the
// browser's) and data-open (the chat is open at first). Scripts of the host's have webchat.open() and webchat.close().
// The page speaks English, French, German, Spanish, Portuguese, Italian, Dutch, Polish, Arabic, Chinese and Japanese.
//
// # Sessions
//
// Without more a user is a guest, whom a cookie knows for 30 days. A host that knows its user makes a token with
// [Chat.Token] for each page that it renders:
//
//	<script src="/chat/widget.js" data-session="{{.Token}}" defer></script>
//
// The token carries the user's id, their data for the agents, and their language, signed and until it expires. The
// user has the same conversation in each browser then; without the token, once signed out, a new one.
//
// Cookies are signed, HttpOnly and SameSite=Lax, and Secure with https. Posts of other sites are refused. What one
// session may do is bounded by [Limits], [MemoryStore] and [MemoryFiles].
//
// # Stores
//
// Messages and files are kept in memory. A host with a database gives a [Store], and [Files]; then the log outlives
// the process, and several replicas may share it.
package webchat
