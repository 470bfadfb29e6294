package translations

import "github.com/crisphandover/handover"

var portuguese = translation{
	noAgent: "Neste momento não há ninguém disponível. O que deseja fazer?",
	byEmail: "Resposta por e-mail",
	withBot: "Continuar com o bot",
	texts: handover.Texts{
		Opening:        "Olá, esta pessoa precisa da sua ajuda.\nO histórico da conversa está aqui: {link}",
		OpeningByEmail: "Olá, esta pessoa pede uma resposta por e-mail.\nO histórico da conversa está aqui: {link}",
		Edited:         "Editado: ",
		Agent:          "Uma pessoa do nosso atendimento",

		Waiting:      "Em breve, uma pessoa vai responder aqui. Enquanto isso, já pode descrever a sua questão.",
		StillWaiting: "Ainda estamos à procura de alguém que possa ajudar. Agradecemos a sua paciência.",
		StillThere:   "Ainda está aí?",
		Joined:       "{agent} entrou na conversa.",
		Transferred:  "{agent} assumiu a conversa.",
		Resolved:     "Esta conversa foi encerrada. O atendimento continua com o bot.",
		Left:         "O atendimento continua com o bot.",
		NobodyCame:   "Lamentamos, ninguém conseguiu responder a tempo.",
		Idle:         "Não há mensagens há algum tempo. O atendimento continua com o bot.",
		Queued:       "Há muitos pedidos neste momento. Vai demorar um pouco; agradecemos a sua paciência.",
		OpenFailed:   "Lamentamos, não foi possível chamar ninguém. O atendimento continua com o bot.",
		RelayFailed:  "Lamentamos, a conexão com o nosso pessoal foi interrompida. O atendimento continua com o bot.",
		Closed:       "Esta conversa terminou. O atendimento continua com o bot.",
		NotAllowed:   "Lamentamos, não é possível falar com uma pessoa por este canal.",
		TooSoon:      "Lamentamos, ainda não há ninguém disponível. Tente novamente mais tarde, por favor.",
		AskEmail:     "Para que endereço de e-mail podemos escrever?",
		BadEmail:     "Isso não parece ser um endereço de e-mail. Para que endereço podemos escrever?",
		ByEmail:      "Obrigado. Responderemos por e-mail.",
		WithBot:      "Certo, em que posso ajudar?",
		NotSent:      "Lamentamos, a sua última mensagem não pôde ser enviada. Envie-a novamente, por favor.",
		Leave:        "Voltar ao bot",

		NoteLeft:       "Esta pessoa voltou a falar com o bot.",
		NoteNobodyCame: "Esta pessoa esperou em vão e voltou a falar com o bot. Responda aqui para assumir a conversa.",
		NoteNotShown:   "Não foi possível mostrar uma mensagem a esta pessoa. Envie-a como texto simples, por favor.",
		NoteAway:       "Esta pessoa não voltou e não viu o que foi escrito.",
		NoteNotReached: "O canal desta pessoa está com falhas: uma mensagem não chegou ao destino.",
		NoteOtherFile:  "Esta pessoa enviou um anexo que não pôde ser transmitido.",
		NoteUnanswered: "O bot não conseguiu responder a esta pessoa.",
	},
}
