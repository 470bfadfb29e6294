// Package handovertest is a fake Crisp, for tests and demonstrations of a bot that hands its
// conversations over to human agents.
//
// It answers Crisp's REST API, sends Crisp's web hooks, and has a scripted operator:
//
//	crisp := handovertest.NewCrisp(t, handovertest.Options{})
//	config := crisp.Config()
//	config.Answer, config.Deliver = bot.answer, chat.deliver // the host's own
//	h, err := handover.New(config)
//	…
//	crisp.Run(h)
//	// ... the user asks for a human ...
//	crisp.Settle()
//	crisp.Last().Operator("Ann").Say("Hello, how can I help?")
//	crisp.Settle()
//	// ... look at what the user got, and at what Crisp has: crisp.Last().Transcript()
//
// docs/testing.md has recipes: nobody there, nobody answers, a takeover, Crisp or the store down.
//
// It is written from what is known of Crisp, apart from package handover, so that the two can
// contradict each other. Where nobody knows what Crisp does, Options decides. It refuses what
// Crisp refuses, and what Crisp would forgive but no sane client sends, it reports as a violation
// (t.Errorf in NewCrisp). It stores a message again when the same fingerprint is posted again, so
// that a double is seen.
//
// By default it is a healthy Crisp. Fail, SetFaults and SetHookFaults make it an unhealthy one:
// calls refused, cut or slow, for good or until they are mended, answers stale or of another shape,
// hooks doubled, late, swapped or lost. Conversation.HoldHooks sends those of one moment later, in
// a chosen order.
//
// What is odd comes from Operator.At, Fingerprint, Members and Without, from Conversation.Trigger,
// User, RateWith, Emit and OddRow. Conversation.Fill makes long logs, Options.Quotas limits on
// calls. A Tally says what a day costs.
//
// Without sockets (Client, Attach) it works inside a testing/synctest bubble, where it must be
// created and closed too. With them (Listen, AttachURL) it serves other processes.
//
// TestStore, in the same package, checks an implementation of handover.Store. A BrittleStore is one that fails when
// a test asks it to.
package handovertest
