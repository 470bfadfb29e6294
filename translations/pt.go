package translations

import "github.com/crisphandover/handover"

var portuguese = translation{
	noAgent: "Neste momento não há ninguém disponível. O que deseja fazer?",
	byEmail: "Resposta por e-mail",
	withBot: "Continuar com o bot",
	texts: handover.Texts{
		Opening:        "Olá, este utilizador precisa da sua ajuda.\nO histórico da conversa está aqui: {link}",
		OpeningByEmail: "Olá, este utilizador pede uma resposta por e-mail.\nO histórico da conversa está aqui: {link}",
		Edited:         "Editado: ",
		Agent:          "Um agente",

		Waiting:      "Uma pessoa vai atender em breve. Entretanto, pode descrever a sua questão.",
		StillWaiting: "Continuamos à procura de alguém para atender. Obrigado pela paciência.",
		StillThere:   "Ainda está aí?",
		Joined:       "{agent} entrou na conversa.",
		Transferred:  "{agent} continua a conversa.",
		Resolved:     "Esta conversa foi encerrada. Está de novo a falar com o bot.",
		Left:         "Está de novo a falar com o bot.",
		NobodyCame:   "Lamentamos, ninguém conseguiu responder a tempo.",
		Idle:         "Há algum tempo que não há mensagens. Está de novo a falar com o bot.",
		Queued:       "Há muitos pedidos neste momento. Vai demorar um pouco; obrigado pela paciência.",
		OpenFailed:   "Lamentamos, não conseguimos contactar ninguém. Está de novo a falar com o bot.",
		RelayFailed:  "Lamentamos, a ligação à nossa equipa foi interrompida. Está de novo a falar com o bot.",
		Closed:       "Esta conversa terminou. Está de novo a falar com o bot.",
		NotAllowed:   "Lamentamos, não é possível contactar ninguém por este canal.",
		TooSoon:      "Lamentamos, ainda não há ninguém disponível. Tente novamente mais tarde, por favor.",
		AskEmail:     "Para que endereço de e-mail podemos escrever?",
		BadEmail:     "Isso não parece ser um endereço de e-mail. Para que endereço podemos escrever?",
		ByEmail:      "Obrigado. Responderemos por e-mail.",
		WithBot:      "Com certeza, em que posso ajudar?",
		NotSent:      "Lamentamos, a sua última mensagem não pôde ser enviada. Envie-a novamente, por favor.",
		Leave:        "Voltar ao bot",

		NoteLeft:       "O utilizador está de novo a falar com o bot.",
		NoteNobodyCame: "O utilizador esperou em vão e está de novo a falar com o bot. Responda aqui para assumir a conversa.",
		NoteNotShown:   "Não foi possível mostrar uma mensagem ao utilizador. Envie-a como texto simples, por favor.",
		NoteAway:       "O utilizador não voltou e não viu o que escreveu.",
		NoteNotReached: "O canal do utilizador está com falhas: uma mensagem não chegou ao destino.",
		NoteOtherFile:  "O utilizador enviou um ficheiro que não pôde ser transmitido.",
		NoteUnanswered: "O bot não conseguiu responder ao utilizador.",
	},
}
