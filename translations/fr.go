package translations

import "github.com/crisphandover/handover"

var french = translation{
	noAgent: "Personne n’est disponible pour le moment. Que souhaitez-vous faire\u00a0?",
	byEmail: "Réponse par e-mail",
	withBot: "Rester avec le bot",
	texts: handover.Texts{
		Opening:        "Bonjour, cette personne a besoin de votre aide.\nL’historique de la conversation se trouve ici\u00a0: {link}",
		OpeningByEmail: "Bonjour, cette personne demande une réponse par e-mail.\nL’historique de la conversation se trouve ici\u00a0: {link}",
		Edited:         "Modifié\u00a0: ",
		Agent:          "Une personne de notre équipe",

		Waiting:      "Une personne de notre équipe sera bientôt à votre disposition. Vous pouvez déjà décrire votre demande.",
		StillWaiting: "Nous cherchons toujours quelqu’un pour vous répondre. Merci de votre patience.",
		StillThere:   "Êtes-vous toujours là\u00a0?",
		Joined:       "{agent} a rejoint la conversation.",
		Transferred:  "{agent} prend le relais.",
		Resolved:     "Cette conversation a été clôturée. Vous échangez de nouveau avec le bot.",
		Left:         "Vous échangez de nouveau avec le bot.",
		NobodyCame:   "Nous sommes désolés, personne n’a pu vous répondre à temps.",
		Idle:         "Il n’y a pas eu de message depuis un moment. Vous échangez de nouveau avec le bot.",
		Queued:       "Les demandes sont nombreuses en ce moment. L’attente sera un peu plus longue\u00a0; merci de votre patience.",
		OpenFailed:   "Nous sommes désolés, nous n’avons pu joindre personne. Vous échangez de nouveau avec le bot.",
		RelayFailed:  "Nous sommes désolés, la connexion avec notre équipe est interrompue. Vous échangez de nouveau avec le bot.",
		Closed:       "Cette conversation est terminée. Vous échangez de nouveau avec le bot.",
		NotAllowed:   "Nous sommes désolés, personne n’est joignable sur ce canal.",
		TooSoon:      "Nous sommes désolés, personne n’est encore disponible. Veuillez réessayer plus tard.",
		AskEmail:     "À quelle adresse e-mail pouvons-nous vous écrire\u00a0?",
		BadEmail:     "Cela ne ressemble pas à une adresse e-mail. À quelle adresse pouvons-nous vous écrire\u00a0?",
		ByEmail:      "Merci. Nous vous répondrons par e-mail.",
		WithBot:      "Très bien, je vous écoute.",
		NotSent:      "Nous sommes désolés, votre dernier message n’a pas pu être transmis. Veuillez l’envoyer de nouveau.",
		Leave:        "Revenir au bot",

		NoteLeft:       "Cette personne échange de nouveau avec le bot.",
		NoteNobodyCame: "Cette personne a attendu en vain et échange de nouveau avec le bot. Répondez ici pour prendre le relais.",
		NoteNotShown:   "Un message n’a pas pu être montré à cette personne. Veuillez l’envoyer en texte simple.",
		NoteAway:       "Cette personne n’est pas revenue et n’a pas vu ce que vous avez écrit.",
		NoteNotReached: "Le canal de cette personne ne fonctionne pas\u00a0: un message ne lui est pas parvenu.",
		NoteOtherFile:  "Cette personne a envoyé un fichier qui n’a pas pu être transmis.",
		NoteUnanswered: "Le bot n’a pas pu répondre à cette personne.",
	},
}
