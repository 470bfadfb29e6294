package translations

import "github.com/crisphandover/handover"

var chinese = translation{
	noAgent: "目前没有客服人员可以为您服务。请问您希望如何继续？",
	byEmail: "通过电子邮件答复",
	withBot: "继续与机器人对话",
	texts: handover.Texts{
		Opening:        "您好，这位用户需要您的帮助。\n对话记录请见：{link}",
		OpeningByEmail: "您好，这位用户希望通过电子邮件得到答复。\n对话记录请见：{link}",
		Edited:         "已编辑：",
		Agent:          "客服人员",

		Waiting:      "客服人员很快就会为您服务。您可以先描述一下您的问题。",
		StillWaiting: "我们仍在为您寻找客服人员，感谢您的耐心等待。",
		StillThere:   "请问您还在吗？",
		Joined:       "{agent}已加入对话。",
		Transferred:  "接下来由{agent}为您服务。",
		Resolved:     "本次对话已关闭，现在由机器人继续为您服务。",
		Left:         "现在由机器人继续为您服务。",
		NobodyCame:   "非常抱歉，没有客服人员能够及时答复您。",
		Idle:         "对话已有一段时间没有新消息，现在由机器人继续为您服务。",
		Queued:       "目前咨询人数较多，请您稍候，感谢您的耐心等待。",
		OpenFailed:   "非常抱歉，未能联系到客服人员，现在由机器人继续为您服务。",
		RelayFailed:  "非常抱歉，与客服团队的连接已中断，现在由机器人继续为您服务。",
		Closed:       "本次对话已结束，现在由机器人继续为您服务。",
		NotAllowed:   "非常抱歉，通过此渠道无法联系到客服人员。",
		TooSoon:      "非常抱歉，目前仍没有客服人员可以为您服务，请稍后再试。",
		AskEmail:     "请问我们可以把答复发送到哪个电子邮箱？",
		BadEmail:     "这似乎不是有效的电子邮箱地址。请问我们可以把答复发送到哪个电子邮箱？",
		ByEmail:      "谢谢您。我们会通过电子邮件答复您。",
		WithBot:      "好的，请问有什么可以帮您？",
		NotSent:      "非常抱歉，您的上一条消息未能发送，请重新发送。",
		Leave:        "返回机器人",

		NoteLeft:       "用户已返回与机器人对话。",
		NoteNobodyCame: "用户未能等到答复，已返回与机器人对话。在此回复即可接手。",
		NoteNotShown:   "有一条消息无法显示给用户，请改用纯文本发送。",
		NoteAway:       "用户没有回来，尚未看到您发送的内容。",
		NoteNotReached: "用户所用的渠道出现故障：有一条消息未能送达。",
		NoteOtherFile:  "用户发送了一个无法转交的文件。",
		NoteUnanswered: "机器人未能答复用户。",
	},
}
