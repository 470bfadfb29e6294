package handovertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

const (
	automated = "bf690000-0000-4000-8000-00000000000a"
	sales     = "bf690000-0000-4000-8000-00000000000b"
)

func TestTheOtherBotAnswersUntilAHumanDoes(t *testing.T) {
	rows := []struct {
		name string
		do   func(v *handovertest.Conversation)
		bot  handovertest.Bot
		want bool // it answers afterwards
	}{
		{"nothing happens", func(*handovertest.Conversation) {}, handovertest.Bot{}, true},
		{"a human writes", func(v *handovertest.Conversation) { v.Operator("Ann").Say("x") }, handovertest.Bot{}, false},
		{"a human notes", func(v *handovertest.Conversation) { v.Operator("Ann").Note("x") }, handovertest.Bot{}, false},
		{"a bot notes", func(v *handovertest.Conversation) { v.Bot("Other").From("urn:acme:bot:0").Note("x") }, handovertest.Bot{}, true},
		{"a trigger writes", func(v *handovertest.Conversation) { v.Trigger("Acme").Say("x") }, handovertest.Bot{}, true},
		{"it is moved", func(v *handovertest.Conversation) { v.SetInbox("") }, handovertest.Bot{}, false},
		{"it is removed", func(v *handovertest.Conversation) { v.Remove() }, handovertest.Bot{Stays: true}, false},
		{"a human writes, it stays", func(v *handovertest.Conversation) { v.Operator("Ann").Say("x") }, handovertest.Bot{Stays: true}, true},
		{"it passes for a human", func(*handovertest.Conversation) {}, handovertest.Bot{Human: true, Origin: "urn:acme:bot:0"}, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				row.bot.Delay, row.bot.Inbox = time.Second, automated
				row.bot.Answer = func(text string) string { return "You said " + text }
				c := handovertest.NewCrisp(t, handovertest.Options{Bot: &row.bot})
				call := newCaller(t, c)
				v, path := call.open()
				require.Equal(t, automated, v.Inbox())
				call.userSays(path, "hi")
				c.Settle()
				require.Len(t, v.Messages(), 1)
				time.Sleep(time.Second)
				c.Settle()
				require.Len(t, v.Messages(), 2)
				answer := v.Messages()[1]
				require.Equal(t, "You said hi", answer.Content)
				require.Equal(t, "Hugo", answer.Nickname)
				require.Equal(t, !row.bot.Human, answer.Automated)
				if row.bot.Origin == "" {
					require.Equal(t, "urn:crisp.im:bot:0", answer.Origin)
				}
				v.UserByChat("again")
				row.do(v) // before the bot's delay is over
				before := len(v.Messages())
				time.Sleep(time.Minute)
				require.Equal(t, row.want, len(v.Messages()) > before)
			})
		})
	}
}

func TestRulesAssignByThemselves(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{EventMessages: true, Rules: []handovertest.Rule{
		{Segment: "Customer", Operator: "Ann", Inbox: sales}, {Segment: "VIP", Operator: "Bob"},
	}})
	call := newCaller(t, c)
	v, path := call.open()
	call.ok("PATCH", path+"/meta", `{"segments":["Customer"]}`)
	require.Empty(t, v.Assigned()) // nobody wrote yet
	call.userSays(path, "hi")
	require.Equal(t, "Ann", v.Assigned())
	require.Equal(t, sales, v.Inbox())

	v, path = call.open()
	call.userSays(path, "hi")
	require.Empty(t, v.Assigned())
	call.ok("PATCH", path+"/meta", `{"segments":["VIP"]}`)
	require.Equal(t, "Bob", v.Assigned())
	call.ok("PATCH", path+"/meta", `{"segments":["Customer"]}`)
	require.Equal(t, "Bob", v.Assigned())

	v.Operator("Ann").Assign()
	v.Operator("Ann").Resolve()
	require.Equal(t, []string{
		"user: hi", "Ann (event): Assigned to Ann", "Ann (event): state:resolved",
	}, v.Transcript())
}

func TestMailsOfWhatNobodyRead(t *testing.T) {
	rows := []struct {
		name  string
		email bool
		mark  string // a mark, 30 s after the message
		late  string // a mark, 90 s after it
		all   bool   // marks do not help
		mails int
	}{
		{name: "unread", email: true, mails: 1},
		{name: "no email", mails: 0},
		{name: "read", email: true, mark: "/read", mails: 0},
		{name: "delivered", email: true, mark: "/delivered", mails: 0},
		{name: "read too late", email: true, late: "/read", mails: 1},
		{name: "read in vain", email: true, mark: "/read", all: true, mails: 1},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{MailDespiteMarks: row.all})
				call := newCaller(t, c)
				v, path := call.open()
				if row.email {
					call.ok("PATCH", path+"/meta", `{"email":"joe@example.com"}`)
				}
				start := time.Now()
				v.Operator("Ann").Note("a note")
				v.Operator("Ann").Say("hello")
				mark := func(route string, after time.Duration) {
					time.Sleep(after)
					if route != "" {
						call.ok("PATCH", path+route, `{"from":"operator","origin":"chat"}`)
					}
				}
				mark(row.mark, 30*time.Second)
				require.Empty(t, c.Mails())
				mark(row.late, time.Minute)
				time.Sleep(time.Hour)
				mails := c.Mails()
				require.Len(t, mails, row.mails)
				if row.mails > 0 {
					require.Equal(t, handovertest.Mail{
						To: "joe@example.com", Text: "hello", Fingerprint: v.Messages()[1].Fingerprint,
						At: start.Add(time.Minute),
					}, mails[0])
				}
			})
		})
	}
}

func TestMailsNeedTheEmailInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		call := newCaller(t, c)
		v, path := call.open()
		v.Operator("Ann").Say("hello")
		time.Sleep(2 * time.Minute)
		call.ok("PATCH", path+"/meta", `{"email":"joe@example.com"}`)
		time.Sleep(time.Hour)
		require.Empty(t, c.Mails())
	})
}

func TestClockCanBeWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{Skew: -time.Hour, Ties: true})
		bot := &inbox{}
		c.Attach(bot)
		call := newCaller(t, c)
		v, path := call.open()
		call.userSays(path, "a")
		call.userSays(path, "b")
		for _, m := range v.Messages() {
			require.Equal(t, time.Now().Add(-time.Hour).UnixMilli(), m.Timestamp)
		}
		c.Fail(1, handovertest.Fault{Stale: time.Second})
		require.Equal(t, 404, call.do("GET", path, "").status)
		c.Settle()
		require.Equal(t, v.Messages()[0].Timestamp, bot.hooks()[0].Timestamp)
	})
}
