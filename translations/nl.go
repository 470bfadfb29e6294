package translations

import "github.com/crisphandover/handover"

var dutch = translation{
	noAgent: "Er is op dit moment niemand bereikbaar. Wat wilt u doen?",
	byEmail: "Antwoord per e-mail",
	withBot: "Verder met de bot",
	texts: handover.Texts{
		Opening:        "Hallo, deze gebruiker heeft uw hulp nodig.\nHet eerdere gesprek staat hier: {link}",
		OpeningByEmail: "Hallo, deze gebruiker vraagt om een antwoord per e-mail.\nHet eerdere gesprek staat hier: {link}",
		Edited:         "Gewijzigd: ",
		Agent:          "Een medewerker",

		Waiting:      "Er is zo iemand voor u. U kunt uw vraag alvast beschrijven.",
		StillWaiting: "Wij zoeken nog iemand die u kan helpen. Dank u voor uw geduld.",
		StillThere:   "Bent u er nog?",
		Joined:       "{agent} doet nu mee aan het gesprek.",
		Transferred:  "{agent} zet het gesprek voort.",
		Resolved:     "Dit gesprek is afgesloten. U praat weer met de bot.",
		Left:         "U praat weer met de bot.",
		NobodyCame:   "Het spijt ons, niemand kon op tijd antwoorden.",
		Idle:         "Het is een tijdje stil geweest. U praat weer met de bot.",
		Queued:       "Er zijn op dit moment veel vragen. Het duurt nog even; dank u voor uw geduld.",
		OpenFailed:   "Het spijt ons, wij konden niemand bereiken. U praat weer met de bot.",
		RelayFailed:  "Het spijt ons, de verbinding met ons team is verbroken. U praat weer met de bot.",
		Closed:       "Dit gesprek is beëindigd. U praat weer met de bot.",
		NotAllowed:   "Het spijt ons, via dit kanaal is niemand bereikbaar.",
		TooSoon:      "Het spijt ons, er is nog niemand. Probeer het later nog eens.",
		AskEmail:     "Naar welk e-mailadres mogen wij u schrijven?",
		BadEmail:     "Dat lijkt geen e-mailadres te zijn. Naar welk adres mogen wij u schrijven?",
		ByEmail:      "Dank u. Wij antwoorden u per e-mail.",
		WithBot:      "Goed, waarmee kan ik u helpen?",
		NotSent:      "Het spijt ons, uw laatste bericht kon niet worden verzonden. Stuur het nog eens.",
		Leave:        "Terug naar de bot",

		NoteLeft:       "De gebruiker praat weer met de bot.",
		NoteNobodyCame: "De gebruiker heeft tevergeefs gewacht en praat weer met de bot. Antwoord hier om het gesprek over te nemen.",
		NoteNotShown:   "Een bericht kon niet aan de gebruiker worden getoond. Stuur het als gewone tekst.",
		NoteAway:       "De gebruiker is niet teruggekomen en heeft niet gezien wat u schreef.",
		NoteNotReached: "Het kanaal van de gebruiker werkt niet: een bericht is niet aangekomen.",
		NoteOtherFile:  "De gebruiker stuurde een bestand dat niet kon worden doorgegeven.",
		NoteUnanswered: "De bot kon de gebruiker niet antwoorden.",
	},
}
