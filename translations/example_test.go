package translations_test

import (
	"fmt"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/translations"
)

func ExampleTexts() {
	texts := translations.Texts("en") // for Config.Texts
	fmt.Println(texts(handover.Session{Locale: "nl-BE"}).StillThere)
	fmt.Println(texts(handover.Session{Locale: "nl-BE"}).NoteUnanswered)
	// Output:
	// Bent u er nog?
	// The bot could not answer the user.
}

func ExampleNoAgent() {
	m := translations.NoAgent("de")[0] // for Request.NoAgent
	fmt.Println(m.Text)
	for _, q := range m.QuickReplies {
		fmt.Printf("[%s]\n", q.Title)
	}
	// Output:
	// Im Moment ist leider niemand erreichbar. Was möchten Sie tun?
	// [Antwort per E-Mail]
	// [Weiter mit dem Bot]
}
