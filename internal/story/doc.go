// Package story runs stories: text files that read like a conversation between a user, a bot and
// the agents in Crisp, and that are compared line by line with what happened.
//
//	# An agent answers, and resolves.
//
//	user: I need a person
//	> (for the bot)
//	bot asks for a human
//	> system: A person will be with you soon. You can already describe your question. [Back to the bot]
//	> (opened)
//	> (now waiting)
//
//	agent Ann: Hello, how can I help?
//	> system: Ann joined the conversation.
//	> Ann: Hello, how can I help?
//	> (now active)
//
// A line that begins with # is a comment. A line that begins with > is what came of the step above
// it. Every other line is a step: something that somebody does, a setting ("given …", before all
// else), or time that passes. A step ends when nothing happens any more at that moment. Time passes
// where a step says so, and where the bot waits for Crisp; "meanwhile" before a step waits for
// nothing, and what comes of it is told with the step in which it comes.
//
// Of what came of a step, first comes what the user sees, in its order. Then, in brackets, come
// answers to the bot ("opened", "for the agents"), ends of which the host hears ("ended: resolved")
// and, last, who owns the conversation now, when that changed.
//
// Everything happens in a testing/synctest bubble with the fake Crisp of package handovertest, so
// that days pass at once and each run gives the same lines. A story uses what a host can use, and
// nothing else.
//
// Run compares a story, or rewrites what stands behind > with what happened. Usage lists the steps, for
// docs/stories.md.
package story
