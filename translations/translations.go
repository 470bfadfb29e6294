// Package translations has what the library says to users, and to agents, in eleven languages.
//
//	config.Texts = translations.Texts("en") // users read their own language (Session.Locale), agents English
//	request.NoAgent = translations.NoAgent(request.Locale)
//
// The languages are English, French, German, Spanish, Portuguese, Italian, Dutch, Polish, Arabic, Chinese (in simplified
// characters) and Japanese. Users are addressed politely. Portuguese is for Portugal and Brazil alike. To change
// a sentence, change it in what For returns.
package translations

import (
	"slices"
	"strings"

	"github.com/crisphandover/handover"
)

// translation is what is said in one language.
type translation struct {
	texts   handover.Texts
	noAgent string // nobody is there
	byEmail string // the choice to be answered by email, of at most 20 characters
	withBot string // the choice to go on with the bot, of at most 20 characters
}

// translations are those of each language.
var translations = map[string]translation{
	"en": english, "fr": french, "de": german, "es": spanish, "pt": portuguese, "it": italian, "nl": dutch, "pl": polish,
	"ar": arabic, "zh": chinese, "ja": japanese,
}

// Languages returns the languages that there are, as codes of ISO 639-1, in alphabetical order.
func Languages() []string {
	var all []string
	for language := range translations {
		all = append(all, language)
	}
	slices.Sort(all)
	return all
}

// Match returns the language in which a locale is answered: that of "fr-CA", "fr_CA" and "FR" is "fr". It is "en" for
// an empty locale, and for one of a language that there is not.
func Match(locale string) string {
	language, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(locale), "_", "-"), "-")
	if language = strings.ToLower(language); translations[language].noAgent == "" {
		return "en"
	}
	return language
}

// For returns all texts in the language of a locale, those for agents included.
func For(locale string) handover.Texts { return translations[Match(locale)].texts }

// Texts returns a function for Config.Texts: users are told in the language of their session, agents in theirs,
// whatever the user's is. The session's is that of Request.Locale: a user whose request named none is told in English.
// The example has another language in its place.
func Texts(agents string) func(handover.Session) handover.Texts {
	theirs := For(agents)
	return func(s handover.Session) handover.Texts {
		t := For(s.Locale)
		t.Opening, t.OpeningByEmail, t.Edited = theirs.Opening, theirs.OpeningByEmail, theirs.Edited
		t.NoteLeft, t.NoteNobodyCame, t.NoteNotShown, t.NoteAway = theirs.NoteLeft, theirs.NoteNobodyCame, theirs.NoteNotShown, theirs.NoteAway
		t.NoteNotReached, t.NoteOtherFile, t.NoteUnanswered = theirs.NoteNotReached, theirs.NoteOtherFile, theirs.NoteUnanswered
		return t
	}
}

// NoAgent returns what a user is shown when nobody is there, in the language of a locale, for Request.NoAgent or
// Config.NoAgent. Its choices are those of Config.Choices by default: leave that empty.
func NoAgent(locale string) []handover.RichMessage {
	t := translations[Match(locale)]
	choices := make([]handover.QuickReply, 0, 2)
	for _, q := range handover.DefaultNoAgent()[0].QuickReplies {
		title := t.withBot
		if len(choices) == 0 {
			title = t.byEmail
		}
		choices = append(choices, handover.QuickReply{ContentType: handover.ReplyText, Title: title, Payload: q.Payload})
	}
	return []handover.RichMessage{{Text: t.noAgent, QuickReplies: choices}}
}
