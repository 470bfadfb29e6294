package translations

import "github.com/crisphandover/handover"

var german = translation{
	noAgent: "Im Moment ist leider niemand erreichbar. Was möchten Sie tun?",
	byEmail: "Antwort per E-Mail",
	withBot: "Weiter mit dem Bot",
	texts: handover.Texts{
		Opening:        "Hallo, diese Person braucht Ihre Hilfe.\nDer bisherige Gesprächsverlauf steht hier: {link}",
		OpeningByEmail: "Hallo, diese Person bittet um eine Antwort per E-Mail.\nDer bisherige Gesprächsverlauf steht hier: {link}",
		Edited:         "Geändert: ",
		Agent:          "Eine Mitarbeiterin oder ein Mitarbeiter",

		Waiting:      "Es ist gleich jemand für Sie da. Sie können Ihre Frage schon beschreiben.",
		StillWaiting: "Wir suchen noch jemanden, der Ihnen hilft. Vielen Dank für Ihre Geduld.",
		StillThere:   "Sind Sie noch da?",
		Joined:       "{agent} ist jetzt im Gespräch.",
		Transferred:  "{agent} führt das Gespräch weiter.",
		Resolved:     "Dieses Gespräch wurde beendet. Sie sprechen wieder mit dem Bot.",
		Left:         "Sie sprechen wieder mit dem Bot.",
		NobodyCame:   "Es tut uns leid, niemand konnte rechtzeitig antworten.",
		Idle:         "Eine Weile kam nichts mehr. Sie sprechen wieder mit dem Bot.",
		Queued:       "Gerade gibt es viele Anfragen. Es dauert noch einen Moment; vielen Dank für Ihre Geduld.",
		OpenFailed:   "Es tut uns leid, wir konnten niemanden erreichen. Sie sprechen wieder mit dem Bot.",
		RelayFailed:  "Es tut uns leid, die Verbindung zu unserem Team ist abgebrochen. Sie sprechen wieder mit dem Bot.",
		Closed:       "Dieses Gespräch ist beendet. Sie sprechen wieder mit dem Bot.",
		NotAllowed:   "Es tut uns leid, auf diesem Weg ist niemand erreichbar.",
		TooSoon:      "Es tut uns leid, es ist noch niemand da. Bitte versuchen Sie es später noch einmal.",
		AskEmail:     "An welche E-Mail-Adresse dürfen wir Ihnen schreiben?",
		BadEmail:     "Das scheint keine E-Mail-Adresse zu sein. An welche Adresse dürfen wir Ihnen schreiben?",
		ByEmail:      "Vielen Dank. Wir antworten Ihnen per E-Mail.",
		WithBot:      "Gerne. Wie kann ich Ihnen helfen?",
		NotSent:      "Es tut uns leid, Ihre letzte Nachricht konnte nicht gesendet werden. Bitte senden Sie sie noch einmal.",
		Leave:        "Zurück zum Bot",

		NoteLeft:       "Die Person spricht wieder mit dem Bot.",
		NoteNobodyCame: "Die Person hat vergeblich gewartet und spricht wieder mit dem Bot. Antworten Sie hier, um zu übernehmen.",
		NoteNotShown:   "Eine Nachricht konnte der Person nicht angezeigt werden. Bitte senden Sie sie als reinen Text.",
		NoteAway:       "Die Person ist nicht zurückgekommen und hat nicht gesehen, was Sie geschrieben haben.",
		NoteNotReached: "Der Kanal der Person ist gestört: Eine Nachricht hat sie nicht erreicht.",
		NoteOtherFile:  "Die Person hat eine Datei gesendet, die nicht übermittelt werden konnte.",
		NoteUnanswered: "Der Bot konnte der Person nicht antworten.",
	},
}
