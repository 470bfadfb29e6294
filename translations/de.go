package translations

import "github.com/crisphandover/handover"

var german = translation{
	noAgent: "Im Moment ist leider niemand erreichbar. Was möchten Sie tun?",
	byEmail: "Antwort per E-Mail",
	withBot: "Weiter mit dem Bot",
	texts: handover.Texts{
		Opening:        "Hallo, diese Person braucht Ihre Hilfe.\nDer bisherige Gesprächsverlauf steht hier: {link}",
		OpeningByEmail: "Hallo, diese Person bittet um eine Antwort per E-Mail.\nDer bisherige Gesprächsverlauf steht hier: {link}",
		Edited:         "Bearbeitet: ",
		Agent:          "Jemand aus unserem Team",

		Waiting:      "Gleich ist jemand für Sie da. Sie können Ihr Anliegen schon beschreiben.",
		StillWaiting: "Wir suchen noch eine Ansprechperson für Sie. Vielen Dank für Ihre Geduld.",
		StillThere:   "Sind Sie noch da?",
		Joined:       "{agent} ist dem Gespräch beigetreten.",
		Transferred:  "{agent} übernimmt das Gespräch.",
		Resolved:     "Dieses Gespräch wurde beendet. Sie sprechen wieder mit dem Bot.",
		Left:         "Sie sprechen wieder mit dem Bot.",
		NobodyCame:   "Leider konnte Ihnen niemand rechtzeitig antworten.",
		Idle:         "Seit einer Weile kam keine Nachricht mehr. Sie sprechen wieder mit dem Bot.",
		Queued:       "Im Moment gehen viele Anfragen ein. Es dauert noch ein wenig. Vielen Dank für Ihre Geduld.",
		OpenFailed:   "Leider konnten wir niemanden erreichen. Sie sprechen wieder mit dem Bot.",
		RelayFailed:  "Leider ist die Verbindung zu unserem Team abgebrochen. Sie sprechen wieder mit dem Bot.",
		Closed:       "Dieses Gespräch ist beendet. Sie sprechen wieder mit dem Bot.",
		NotAllowed:   "Über diesen Kanal ist leider niemand erreichbar.",
		TooSoon:      "Es ist leider noch niemand erreichbar. Bitte versuchen Sie es später noch einmal.",
		AskEmail:     "An welche E-Mail-Adresse dürfen wir Ihnen schreiben?",
		BadEmail:     "Das scheint keine E-Mail-Adresse zu sein. An welche Adresse dürfen wir Ihnen schreiben?",
		ByEmail:      "Vielen Dank. Wir antworten Ihnen per E-Mail.",
		WithBot:      "Gerne. Wie kann ich Ihnen helfen?",
		NotSent:      "Ihre letzte Nachricht konnte leider nicht gesendet werden. Bitte senden Sie sie noch einmal.",
		Leave:        "Zurück zum Bot",

		NoteLeft:       "Die Person spricht wieder mit dem Bot.",
		NoteNobodyCame: "Die Person hat vergeblich gewartet und spricht wieder mit dem Bot. Antworten Sie hier, um das Gespräch zu übernehmen.",
		NoteNotShown:   "Eine Nachricht konnte der Person nicht angezeigt werden. Bitte senden Sie sie als reinen Text.",
		NoteAway:       "Die Person ist nicht zurückgekommen und hat nicht gesehen, was Sie geschrieben haben.",
		NoteNotReached: "Der Kanal der Person ist gestört: Eine Nachricht hat sie nicht erreicht.",
		NoteOtherFile:  "Die Person hat eine Datei gesendet, die nicht übermittelt werden konnte.",
		NoteUnanswered: "Der Bot konnte der Person nicht antworten.",
	},
}
