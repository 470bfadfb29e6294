package translations

import "github.com/crisphandover/handover"

var dutch = translation{
	noAgent: "Er is op dit moment niemand bereikbaar. Wat wilt u doen?",
	byEmail: "Antwoord per e-mail",
	withBot: "Verder met de bot",
	texts: handover.Texts{
		Opening:        "Hallo, deze gebruiker heeft uw hulp nodig.\nDe gespreksgeschiedenis vindt u hier: {link}",
		OpeningByEmail: "Hallo, deze gebruiker vraagt om een antwoord per e-mail.\nDe gespreksgeschiedenis vindt u hier: {link}",
		Edited:         "Bewerkt: ",
		Agent:          "Iemand van ons team",

		Waiting:      "Er is zo iemand voor u. U kunt uw vraag alvast beschrijven.",
		StillWaiting: "Wij zoeken nog iemand die u kan helpen. Bedankt voor uw geduld.",
		StillThere:   "Bent u er nog?",
		Joined:       "{agent} neemt nu deel aan het gesprek.",
		Transferred:  "{agent} neemt het gesprek over.",
		Resolved:     "Dit gesprek is afgesloten. U praat weer met de bot.",
		Left:         "U praat weer met de bot.",
		NobodyCame:   "Helaas kon niemand u op tijd antwoorden.",
		Idle:         "Het is een tijdje stil geweest. U praat weer met de bot.",
		Queued:       "Er zijn op dit moment veel vragen. Het duurt nog even; bedankt voor uw geduld.",
		OpenFailed:   "Helaas konden wij niemand bereiken. U praat weer met de bot.",
		RelayFailed:  "Helaas is de verbinding met ons team verbroken. U praat weer met de bot.",
		Closed:       "Dit gesprek is beëindigd. U praat weer met de bot.",
		NotAllowed:   "Via dit kanaal is helaas niemand bereikbaar.",
		TooSoon:      "Er is helaas nog niemand bereikbaar. Probeer het later nog eens.",
		AskEmail:     "Naar welk e-mailadres mogen wij schrijven?",
		BadEmail:     "Dat lijkt geen e-mailadres te zijn. Naar welk adres mogen wij schrijven?",
		ByEmail:      "Bedankt. Wij antwoorden u per e-mail.",
		WithBot:      "Goed, waarmee kan ik u helpen?",
		NotSent:      "Uw laatste bericht kon helaas niet worden verzonden. Stuur het alstublieft opnieuw.",
		Leave:        "Terug naar de bot",

		NoteLeft:       "De gebruiker praat weer met de bot.",
		NoteNobodyCame: "De gebruiker heeft tevergeefs gewacht en praat weer met de bot. Antwoord hier om het gesprek over te nemen.",
		NoteNotShown:   "Een bericht kon niet aan de gebruiker worden getoond. Stuur het alstublieft als gewone tekst.",
		NoteAway:       "De gebruiker is niet teruggekomen en heeft niet gezien wat u hebt geschreven.",
		NoteNotReached: "Het kanaal van de gebruiker werkt niet: een bericht is niet aangekomen.",
		NoteOtherFile:  "De gebruiker heeft een bestand gestuurd dat niet kon worden doorgegeven.",
		NoteUnanswered: "De bot kon de gebruiker niet antwoorden.",
	},
}
