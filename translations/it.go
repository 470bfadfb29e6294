package translations

import "github.com/crisphandover/handover"

var italian = translation{
	noAgent: "Al momento non è disponibile nessun operatore. Che cosa desidera fare?",
	byEmail: "Risposta via e-mail",
	withBot: "Continua con il bot",
	texts: handover.Texts{
		Opening:        "Salve, questo utente ha bisogno di aiuto.\nLa cronologia della conversazione è qui: {link}",
		OpeningByEmail: "Salve, questo utente chiede una risposta via e-mail.\nLa cronologia della conversazione è qui: {link}",
		Edited:         "Modificato: ",
		Agent:          "Un operatore",

		Waiting:      "Tra poco una persona sarà a Sua disposizione. Intanto può già descrivere la Sua domanda.",
		StillWaiting: "Stiamo ancora cercando qualcuno che possa aiutarLa. Grazie per la pazienza.",
		StillThere:   "È ancora lì?",
		Joined:       "{agent} partecipa ora alla conversazione.",
		Transferred:  "{agent} prosegue la conversazione.",
		Resolved:     "Questa conversazione è stata chiusa. Ora parla di nuovo con il bot.",
		Left:         "Ora parla di nuovo con il bot.",
		NobodyCame:   "Siamo spiacenti, nessuno ha potuto rispondere in tempo.",
		Idle:         "Da un po' non ci sono messaggi. Ora parla di nuovo con il bot.",
		Queued:       "In questo momento ci sono molte richieste. Ci vorrà ancora un po'; grazie per la pazienza.",
		OpenFailed:   "Siamo spiacenti, non è stato possibile raggiungere nessuno. Ora parla di nuovo con il bot.",
		RelayFailed:  "Siamo spiacenti, il collegamento con il nostro team si è interrotto. Ora parla di nuovo con il bot.",
		Closed:       "Questa conversazione è terminata. Ora parla di nuovo con il bot.",
		NotAllowed:   "Siamo spiacenti, su questo canale non è possibile contattare nessuno.",
		TooSoon:      "Siamo spiacenti, non c'è ancora nessuno. La preghiamo di riprovare più tardi.",
		AskEmail:     "A quale indirizzo e-mail possiamo scriverLe?",
		BadEmail:     "Non sembra un indirizzo e-mail. A quale indirizzo possiamo scriverLe?",
		ByEmail:      "Grazie. Le risponderemo via e-mail.",
		WithBot:      "Va bene, La ascolto.",
		NotSent:      "Siamo spiacenti, il Suo ultimo messaggio non è stato inviato. La preghiamo di inviarlo di nuovo.",
		Leave:        "Torna al bot",

		NoteLeft:       "L'utente parla di nuovo con il bot.",
		NoteNobodyCame: "L'utente ha aspettato invano e parla di nuovo con il bot. Risponda qui per subentrare.",
		NoteNotShown:   "Non è stato possibile mostrare un messaggio all'utente. Lo invii come testo semplice.",
		NoteAway:       "L'utente non è tornato e non ha visto ciò che Lei ha scritto.",
		NoteNotReached: "Il canale dell'utente non funziona: un messaggio non è arrivato.",
		NoteOtherFile:  "L'utente ha inviato un file che non è stato possibile trasmettere.",
		NoteUnanswered: "Il bot non ha potuto rispondere all'utente.",
	},
}
