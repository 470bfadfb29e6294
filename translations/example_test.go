package translations_test

import (
	"cmp"
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

// Users read German where nothing is known of their language, and agents English.
func ExampleTexts_default() {
	texts := translations.Texts("en")
	config := handover.Config{
		Texts: func(s handover.Session) handover.Texts {
			s.Locale = cmp.Or(s.Locale, "de")
			return texts(s)
		},
		NoAgent: translations.NoAgent("de"),
	}
	fmt.Println(config.Texts(handover.Session{}).StillThere)
	fmt.Println(config.Texts(handover.Session{Locale: "nl"}).StillThere)
	fmt.Println(config.Texts(handover.Session{}).NoteUnanswered)
	// Output:
	// Sind Sie noch da?
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
