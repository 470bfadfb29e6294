package systemtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What users of other systems complain of, in public threads read in November 2026, and what shows
// why it does not happen here: stories, told as such a user would tell them, in testdata/stories,
// and Go tests of what no story can say.

// complaint is one complaint, the threads that voice it, and the stories and tests that rule it out.
type complaint struct {
	about   string
	threads string
	tests   string
}

var complaints = []complaint{
	// Two responders at once.
	{"the bot answers after the handover", "chatwoot/rasa-agent-bot-demo#12 RocketChat/hubot-natural#51", "bot-is-silent-after-the-handover.txt TestOneVoice"},
	{"a human answers from another tool or a phone, and the bot talks over them",
		"fazer-ai/agents#433 evolution-foundation/evo-crm-community#82 fbsamples/original-coast-clothing#87", "an-agent-answers-from-elsewhere.txt the-bot-is-cut-short.txt TestReplyIsCutShortByATakeover"},
	{"the bot cannot be switched off and on, and comes back by itself", "HKUDS/nanobot#3322", "muted-and-kept-for-a-handover.txt muted-ends.txt muted-ends-by-itself.txt TestMute"},
	{"the same closing line comes twice, because the state lags behind", "fazer-ai/agents#158", "one-closing-line-when-the-state-lags.txt"},
	{"reopening and assigning are two steps, between which somebody else speaks", "chatwoot/chatwoot#15438", "reopen-assign-answer-is-one-takeover.txt takeover-whose-message-hook-is-late.txt takeover-whose-state-hook-is-late.txt"},

	// Nobody came.
	{"is anyone available?", "botpress/botpress#1720 botpress/v12#683", "nobody-is-online.txt nobody-knows-whether-somebody-is-there.txt TestAvailableTellsOnlineAwayAndUnknownApart"},
	{"nobody takes it, and nobody says so", "RocketChat/feature-requests#593", "nobody-came.txt TestWaitingIsReminded"},
	{"a promise outside of office hours, or nothing at all",
		"chattermate/chattermate.chat#298 RocketChat/Apps.Rasa#28 fazer-ai/agents#153 chatwoot/chatwoot#9293 chatwoot/chatwoot#5764 chatwoot/chatwoot#6010",
		"office-is-closed.txt answer-by-email-asks-for-the-address.txt"},
	{"an answer by email, later", "botpress/v12#1561", "answer-by-email.txt a-mail-is-answered-in-the-channel.txt"},
	{"agents who are offline hear of nothing", "chatwoot/chatwoot#9464 chatwoot/chatwoot#5077 chatwoot/chatwoot#6112", "answer-by-email.txt TestOpeningStepByStep"},
	{"it was handed over, and the user was told nothing", "chatwoot/chatwoot#13885 fazer-ai/agents#662 kevinrivm/vocero-crm#62", "messages-while-it-opens.txt crisp-is-down-at-the-start.txt TestStartOutcomes"},
	{"a handover without a message before it notifies nobody", "stickerdaniel/saas-starter#684", "button-without-a-message.txt"},
	{"presence is not availability", "chatwoot/chatwoot#1600", "nobody-came.txt office-is-closed.txt TestPresenceGetsWhatCrispSaysAndTheRequest"},
	{"a failed handover looks like one that succeeded", "RocketChat/Apps.Dialogflow#59", "crisp-is-down-at-the-start.txt asked-twice-opens-one.txt TestStartOutcomes"},
	{"technical errors hand over again and again", "RocketChat/Apps.Dialogflow#41", "no-loop-on-technical-errors.txt"},

	// Coming back.
	{"handed over in a loop once it is resolved", "chatwoot/chatwoot#13880 chatwoot/chatwoot#15068", "no-loop-after-resolve.txt"},
	{"the bot is silent for ever after the human left", "fazer-ai/agents#457 fazer-ai/agents#452", "TestTheBotAnswersAfterEveryEnd"},
	{"nothing marks the end of the human part", "fazer-ai/agents#458", "TestTheBotAnswersAfterEveryEnd TestWholeHandover"},
	{"reopened, and nobody has it", "chatwoot/chatwoot#5668", "reopened-mutes-nobody.txt asked-again-soon.txt asked-again-later.txt"},
	{"the bot cannot resume where it was", "RasaHQ/rasa#1945 RasaHQ/rasa#8119 flow-ai/backlog#124", "TestWholeHandover TestTheBotAnswersAfterEveryEnd"},
	{"a takeover is forgotten, and the user with it", "melgarafael/DeskcommCRM#1133", "forgotten-takeover-of-a-silent-user.txt forgotten-takeover-of-a-user-who-asks.txt a-handover-has-an-end.txt TestMaxEndsEveryMute"},
	{"each echo prolongs the mute", "santmun/forja#60", "echoes-do-not-prolong-the-mute.txt"},
	{"a handover that somebody has expires", "rcmanaure/langraph-bot-v1#39", "who-is-answered-does-not-time-out.txt"},
	{"no rating after the human part", "botpress/botpress#4729 botpress/v12#1290", "a-rating-is-asked-for-once.txt"},

	// Context and content.
	{"the transcript is missing, partial, or text only",
		"botpress/botpress#5716 botpress/v12#1405 botpress/v12#1327 botpress/botpress#14082 ejadib/handoff-to-human-sample#2 microsoft/BotBuilder-Samples#2164",
		"the-human-part-is-whole.txt the-history-link.txt TestHistoryPage TestHistoryPageKeepsTheOrder"},
	{"the agents do not get what is known of the user", "Genesys/forum#27375", "TestOpeningWithTheConnectorsUserData"},
	{"the agent's name is blank", "botpress/botpress#13873", "an-agents-name-comes-first.txt an-agent-without-a-name.txt"},
	{"agents' messages look like the user's own", "botpress/growth#91", "TestDeliverShowsTheAgent"},
	{"our own notes come back as messages", "botpress/botpress#15199", "our-notes-are-never-shown.txt our-notes-are-never-shown-when-crisp-numbers-messages.txt"},
	{"edits and removals do not arrive", "chatwoot/chatwoot#12613 sendingtk/chatwoot#108 fazer-ai/chatwoot#316", "edits-are-corrections.txt edits-in-a-channel-that-can.txt"},
	{"somebody is typing for ever", "chatwoot/chatwoot#14296 chatwoot/chatwoot#15220 chatwoot/chatwoot#12084 chatwoot/chatwoot#8928", "nobody-types-for-ever.txt TestTyping"},

	// Ending.
	{"the user cannot leave", "palindromed/Bot-HandOff#25 ankitbko/human-handoff-bot#2", "the-user-leaves-while-waiting.txt the-agents-hear-that-the-user-left.txt the-user-leaves-after-a-silence.txt"},
	{"the agents are not told that the user left", "amazon-connect/amazon-connect-chat-ui-examples#252 microsoft/BotFramework-WebChat#438",
		"the-agents-hear-that-the-user-left.txt the-user-leaves-on-the-free-plan.txt the-user-leaves-and-the-data-say-so.txt TestEndByTheHost"},
	{"a rating is asked for twice, or though nobody answered", "chatwoot/chatwoot#5592 chatwoot/chatwoot#4003 chatwoot/chatwoot#14872 chatwoot/chatwoot#10628",
		"a-rating-is-asked-for-once.txt TestRatingIsAskedOnceWhenAHumanAnswered"},

	// Plumbing.
	{"a second request makes a second ticket", "Automattic/wp-calypso#102979 Automattic/wp-calypso#105923 Automattic/wp-calypso#111893", "asked-twice-opens-one.txt"},
	{"hooks come twice, and in bursts", "chatwoot/chatwoot#11901", "hooks-come-twice.txt hooks-overtake-each-other.txt TestHooksDoubledSwappedAndLate TestHookStorm"},
	{"hooks are not signed, or not verified", "chatwoot/chatwoot#9354 chatwoot/chatwoot#13789 chatwoot/chatwoot#13809 chatwoot/chatwoot#13573 rmyndharis/OpenWA#821",
		"TestSignatureOfAnotherTool TestSecretsAreRotated TestOldHooksAreRefusedOnRequest"},
	{"how to test it without an agent?", "microsoft/BotBuilder-Samples#3135", "Example TestWholeHandover"},
	{"how long did people wait?", "botpress/v12#1338", "ExampleActivity_report TestActivitiesTellHowLongThingsTook"},
	{"a mail for what the user has seen already", "crisp-im/node-crisp-api#29", "no-mail-for-what-was-seen.txt TestShownMessagesAreMarked"},
	{"each message of an agent opens a new conversation", "gmpetrov/databerry#382", "agents-messages-open-no-conversations.txt"},
	// Queue position and waiting time (chatwoot/chatwoot#10059 and others): Crisp's API has neither.
}

// TestComplaints checks that each complaint names a story or a test, and that what is named exists.
func TestComplaints(t *testing.T) {
	tests, threads := testsHere(t), map[string]bool{}
	for _, c := range complaints {
		named := strings.Fields(c.tests)
		require.NotEmpty(t, named, c.about)
		for _, name := range named {
			require.True(t, tests[name], "%s: there is no %s", c.about, name)
		}
		for _, thread := range strings.Fields(c.threads) {
			require.False(t, threads[thread], "%s stands twice", thread)
			threads[thread] = true
		}
	}
	fmt.Printf("complaints: %d, of %d threads\n", len(complaints), len(threads))
}
