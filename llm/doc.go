// Package llm lets a language model hand its conversation over to a human: a tool with which the model asks
// for one, and what people said meanwhile, as messages for the model. It works with any SDK, since all it
// gives and takes are plain strings and JSON. docs/llm.md shows how each SDK takes them.
//
//	tool, err := llm.NewTool(llm.Options{Categories: []string{"billing", "orders"}})
//	// Give the model tool.Name, tool.Description and tool.Schema.
//
// When the model calls the tool, within [handover.Config.Answer] or the send of [handover.Handover.Reply]:
//
//	result, err := tool.Ask(ctx, h, turn, arguments, handover.Request{User: user})
//	if err != nil {
//		return nil, err // nothing was asked, and the message is answered again
//	}
//	// Store result.Text as the tool's result. If result.GoOn, call the model once more; else say no more.
//
// When the agents are done, in [handover.Config.OnEnd], add what they and the user said to the model's history:
//
//	history = append(history, llm.Transcript{}.HumanPart(summary))
//
// The model must be able to tell the library's own lines from what people write: add [Instructions] to its system
// prompt, and pass the user's words through [User].
package llm
