package exactjson_test

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/exactjson"
)

// hook is a web hook as Crisp's documentation shows it.
const hook = `{"website_id":"42286ab3-0000-4fde-8538-000000000001","event":"message:received","data":{"website_id":"42286ab3-0000-4fde-8538-000000000001",` +
	`"session_id":"session_36ba3566-0000-4790-afc8-000000000001","inbox_id":null,"type":"text","origin":"chat","from":"operator",` +
	`"content":"Have you tried turning it off and on again? If that does not help, tell me what the display says.","mentions":[],"stamped":true,` +
	`"timestamp":1634080131123,"fingerprint":163408013112345,"user":{"type":"website","user_id":"a4c32c68-0000-4e29-8a05-000000000001",` +
	`"nickname":"Ann","avatar":"https://image.crisp.chat/x.png"}},"timestamp":1634080131140}`

// BenchmarkRead checks a web hook: in one go, and by the JSON library that takes what the checker leaves.
func BenchmarkRead(b *testing.B) {
	b.Run("checker", func(b *testing.B) { benchmarkRead(b, exactjson.Read) })
	b.Run("checker with index", func(b *testing.B) {
		benchmarkRead(b, func(in []byte) (jsontext.Value, bool, error) {
			text, clear, err := exactjson.ReadText(in)
			return text.Value, clear, err
		})
	})
	b.Run("library", func(b *testing.B) { benchmarkRead(b, exactjson.Reformat) })
}

func benchmarkRead[V ~[]byte](b *testing.B, read func([]byte) (V, bool, error)) {
	in := []byte(hook)
	b.ReportAllocs()
	for b.Loop() {
		if _, clear, err := read(in); err != nil || !clear {
			b.Fatal("the hook was not read", err)
		}
	}
}

// BenchmarkReadObject takes a web hook apart that was checked: with the index that the check made, and without.
func BenchmarkReadObject(b *testing.B) {
	indexed, _, err := exactjson.ReadText([]byte(hook))
	require.NoError(b, err)
	for name, text := range map[string]exactjson.Text{"index": indexed, "scanner": exactjson.Share(indexed.Value)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var event, session, content, nickname string
				var data, user exactjson.Text
				text.ReadObject(exactjson.To("event", &event), exactjson.To("data", &data))
				data.ReadObject(exactjson.To("session_id", &session), exactjson.To("content", &content), exactjson.To("user", &user))
				user.ReadObject(exactjson.To("nickname", &nickname))
				if nickname != "Ann" || content == "" || session == "" || event == "" {
					b.Fatal("the hook was not taken apart")
				}
			}
		})
	}
}
