package translations

import "github.com/crisphandover/handover"

var french = translation{
	noAgent: "Aucun conseiller n'est disponible pour le moment. Que souhaitez-vous faire ?",
	byEmail: "Réponse par e-mail",
	withBot: "Rester avec le bot",
	texts: handover.Texts{
		Opening:        "Bonjour, cet utilisateur a besoin de votre aide.\nL'historique de la conversation se trouve ici : {link}",
		OpeningByEmail: "Bonjour, cet utilisateur demande une réponse par e-mail.\nL'historique de la conversation se trouve ici : {link}",
		Edited:         "Modifié : ",
		Agent:          "Un conseiller",

		Waiting:      "Un conseiller sera bientôt à votre disposition. Vous pouvez déjà décrire votre question.",
		StillWaiting: "Nous cherchons toujours un conseiller. Merci de votre patience.",
		StillThere:   "Êtes-vous toujours là ?",
		Joined:       "{agent} a rejoint la conversation.",
		Transferred:  "{agent} poursuit la conversation.",
		Resolved:     "Cette conversation a été clôturée. Le bot vous répond de nouveau.",
		Left:         "Le bot vous répond de nouveau.",
		NobodyCame:   "Nous sommes désolés, personne n'a pu vous répondre à temps.",
		Idle:         "Sans nouvelles de votre part, nous avons clôturé la conversation. Le bot vous répond de nouveau.",
		Queued:       "Les demandes sont nombreuses en ce moment. Il faudra patienter un peu ; merci de votre compréhension.",
		OpenFailed:   "Nous sommes désolés, personne n'a pu être joint. Le bot vous répond de nouveau.",
		RelayFailed:  "Nous sommes désolés, la liaison avec notre équipe est interrompue. Le bot vous répond de nouveau.",
		Closed:       "Cette conversation est terminée. Le bot vous répond de nouveau.",
		NotAllowed:   "Nous sommes désolés, aucun conseiller n'est joignable par ce canal.",
		TooSoon:      "Nous sommes désolés, personne n'est encore disponible. Veuillez réessayer plus tard.",
		AskEmail:     "À quelle adresse e-mail pouvons-nous vous écrire ?",
		BadEmail:     "Cette adresse e-mail ne semble pas valable. À quelle adresse pouvons-nous vous écrire ?",
		ByEmail:      "Merci. Nous vous répondrons par e-mail.",
		WithBot:      "Très bien, je vous écoute.",
		NotSent:      "Nous sommes désolés, votre dernier message n'a pas pu être transmis. Veuillez l'envoyer de nouveau.",
		Leave:        "Revenir au bot",

		NoteLeft:       "L'utilisateur est de nouveau en conversation avec le bot.",
		NoteNobodyCame: "L'utilisateur a attendu en vain et parle de nouveau avec le bot. Répondez ici pour prendre la main.",
		NoteNotShown:   "Un message n'a pas pu être affiché à l'utilisateur. Veuillez l'envoyer en texte simple.",
		NoteAway:       "L'utilisateur n'est pas revenu et n'a pas vu ce que vous avez écrit.",
		NoteNotReached: "Le canal de l'utilisateur ne fonctionne pas : un message ne lui est pas parvenu.",
		NoteOtherFile:  "L'utilisateur a envoyé un fichier qui n'a pas pu être transmis.",
		NoteUnanswered: "Le bot n'a pas pu répondre à l'utilisateur.",
	},
}
