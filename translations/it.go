package translations

import "github.com/crisphandover/handover"

var italian = translation{
	noAgent: "Al momento non c’è nessuno disponibile. Che cosa desidera fare?",
	byEmail: "Risposta via e-mail",
	withBot: "Continua con il bot",
	texts: handover.Texts{
		Opening:        "Salve, questa persona ha bisogno di aiuto.\nLa cronologia della conversazione è qui: {link}",
		OpeningByEmail: "Salve, questa persona chiede una risposta via e-mail.\nLa cronologia della conversazione è qui: {link}",
		Edited:         "Modificato: ",
		Agent:          "Una persona del nostro team",

		Waiting:      "Tra poco una persona sarà a sua disposizione. Intanto può già descrivere la sua richiesta.",
		StillWaiting: "Stiamo ancora cercando qualcuno che possa aiutarla. Grazie per la pazienza.",
		StillThere:   "È ancora lì?",
		Joined:       "{agent} partecipa ora alla conversazione.",
		Transferred:  "{agent} ha preso in carico la conversazione.",
		Resolved:     "Questa conversazione è stata chiusa. Ora le risponde di nuovo il bot.",
		Left:         "Ora le risponde di nuovo il bot.",
		NobodyCame:   "Siamo spiacenti, nessuno ha potuto rispondere in tempo.",
		Idle:         "Da un po’ non ci sono messaggi. Ora le risponde di nuovo il bot.",
		Queued:       "In questo momento ci sono molte richieste. Ci vorrà un po’ di tempo; grazie per la pazienza.",
		OpenFailed:   "Siamo spiacenti, non è stato possibile contattare nessuno. Ora le risponde di nuovo il bot.",
		RelayFailed:  "Siamo spiacenti, il collegamento con il nostro team si è interrotto. Ora le risponde di nuovo il bot.",
		Closed:       "Questa conversazione è terminata. Ora le risponde di nuovo il bot.",
		NotAllowed:   "Siamo spiacenti, su questo canale non è possibile contattare nessuno.",
		TooSoon:      "Siamo spiacenti, non c’è ancora nessuno disponibile. La preghiamo di riprovare più tardi.",
		AskEmail:     "A quale indirizzo e-mail possiamo scriverle?",
		BadEmail:     "Non sembra un indirizzo e-mail. A quale indirizzo possiamo scriverle?",
		ByEmail:      "Grazie. Le risponderemo via e-mail.",
		WithBot:      "Va bene, come posso aiutarla?",
		NotSent:      "Siamo spiacenti, non è stato possibile inviare il suo ultimo messaggio. La preghiamo di inviarlo di nuovo.",
		Leave:        "Torna al bot",

		NoteLeft:       "Questa persona parla di nuovo con il bot.",
		NoteNobodyCame: "Questa persona ha aspettato invano e parla di nuovo con il bot. Risponda qui per prendere in carico la conversazione.",
		NoteNotShown:   "Non è stato possibile mostrare un messaggio a questa persona. Lo invii come testo semplice, per favore.",
		NoteAway:       "Questa persona non è tornata e non ha visto quanto le è stato scritto.",
		NoteNotReached: "Il canale di questa persona non funziona: un messaggio non le è arrivato.",
		NoteOtherFile:  "Questa persona ha inviato un file che non è stato possibile trasmettere.",
		NoteUnanswered: "Il bot non ha potuto rispondere a questa persona.",
	},
}
