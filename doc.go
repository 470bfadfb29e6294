// Package handover hands a bot's conversation to human agents in Crisp, and takes it back.
//
// The user stays in the channel where they are. When the bot asks for a human, a conversation is opened in
// Crisp; from then on messages pass between the user and the agents there, until the agents resolve it and the
// bot answers again.
//
// # The managed way
//
// For most hosts. The backend gives every message of the user to Handle, and its bot is Config.Answer: the
// library calls it for each message, one after the other, and when it returns a Request it asks for a human.
// Config.Deliver shows the user what agents write, and what the library itself says.
//
//	h, err := handover.New(handover.Config{
//		WebsiteID: …, Token: …, Webhook: …, Store: …,
//		Deliver: chat.Deliver,
//		Answer: func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
//			answer := bot.Answer(ctx, m.Text) // may take minutes; ctx ends when a human takes over
//			if err := chat.Send(ctx, m.Conversation.ID, answer.Text); err != nil {
//				return nil, err // it is called again
//			}
//			if answer.NeedHelp {
//				return &handover.Request{Segments: []string{"Customer"}}, nil
//			}
//			return nil, nil
//		},
//	})
//	go h.Run(ctx)                      // deadlines, retries, what a crash left
//	http.Handle("POST /crisp/hooks", h) // Crisp's web hooks
//	err = h.Handle(ctx, incoming)      // nil: stored. On an error make the channel repeat the message
//
// Handle fits web hooks, long polling, sockets and queues alike, since it returns when the message is stored.
// Check says before the first user comes whether token, website and hooks are right. Shutdown ends a process
// without losing anything.
//
// # A loop of your own
//
// A host that streams an answer into the request that brought the question calls Receive, which says whether
// the bot is to answer, then Reply, which lets it speak, and Start to ask for a human. Use Handle or Receive
// for a conversation, not both.
//
//	turn, err := h.Receive(ctx, incoming) // an error: make the channel repeat the message
//	if turn.Bot {
//		err = h.Reply(ctx, turn, func(ctx context.Context) error { return stream(ctx, answer) })
//	}
//
// In both ways End gives the conversation back to the bot, Mute silences it without a human, Session tells who
// has it, Available whether somebody is there, and UserTyping shows the agents that the user types. Apply takes
// the output object of bots that were made for Crisp's connector.
//
// # Web hooks
//
// A Handover is the http.Handler of Crisp's hooks: it verifies each by Config.Webhook and stores it before it
// answers 200. A host with a server or a queue of its own verifies with ReadEvent and passes on with
// HandleEvent. What no hook told is found by reading Crisp now and then.
//
// # What users and agents read
//
// Each sentence of the library's own is in Texts: begin with DefaultTexts. What a user is shown is a
// RichMessage, in the syntax of Messenger's Send API. Package channel, and those below it, show it in channels, within
// their limits; PlainText is for text alone. ParseRichMessages reads what a person wrote for Config.NoAgent. UserData is what agents see of the user.
// HistoryLink and HistoryHandler show agents what was said before they came.
//
// # Stores
//
// Config.Store keeps all state. Package sqlstore has it in PostgreSQL, MySQL or SQLite; with MemoryStore, the default,
// the promises end with the process. Several replicas share a Store. Forget erases what it holds of a user.
//
// # Testing
//
// Package handovertest is a fake Crisp with agents who do as a test says, and has the tests that a Store must
// pass. docs/testing.md has recipes.
//
// # Promises
//
// One voice: the library never starts a bot message given to Reply, or calls Config.Answer, while it has
// recorded that a human owns the conversation; one that is under way is told to stop. At most one side
// speaks, unless send or Answer ignores its ended context beyond Timeouts.Reply.
//
// Agent to user, nothing lost: each message at least once, in the order in which Crisp's log shows
// it, with the same Message.ID at each attempt: exactly once if Deliver is idempotent by that id.
// One that cannot be shown is reported to the agents. One that becomes visible late is delivered
// late, marked so.
//
// User to agent, nil means Crisp has it: never posted twice unless Crisp carries out a request
// later than a fresh read, made after our time-out, said it had not; in the order of the nil
// returns. Handle's nil means that the message is stored, and is passed on or answered.
//
// Nobody is left hanging: every handover has exactly one end and one un-mute, with a typed reason.
// OnEnd is called at least once, with the same id.
//
// They hold through Crisp's faults, restarts and several replicas, given a durable Store and Run
// on at least one replica.
//
// # Errors and time
//
// What is normal is a typed result, such as an Outcome; errors are faults. Permanent tells errors for which
// repeating a message is useless. A call to Crisp that failed is an APIError, a hook that is refused a
// HookError:
//
//	var api *handover.APIError
//	if errors.As(err, &api) && api.StatusCode == 401 { … }
//
// Each call but Run ends also without a deadline in its ctx: an access to the store takes 20 s at the most, a
// call to Crisp 10 s, a callback of Config what Timeouts says; what a call waits for besides, it says itself.
// Run and Shutdown serve a process, and end with their ctx.
package handover
