package translations

import "github.com/crisphandover/handover"

var spanish = translation{
	noAgent: "En este momento no hay nadie disponible. ¿Qué desea hacer?",
	byEmail: "Respuesta por correo",
	withBot: "Seguir con el bot",
	texts: handover.Texts{
		Opening:        "Hola, esta persona necesita su ayuda.\nEl historial de la conversación está aquí: {link}",
		OpeningByEmail: "Hola, esta persona pide una respuesta por correo electrónico.\nEl historial de la conversación está aquí: {link}",
		Edited:         "Editado: ",
		Agent:          "Una persona de nuestro equipo",

		Waiting:      "En breve le atenderá una persona. Mientras tanto, puede describir su consulta.",
		StillWaiting: "Seguimos buscando a alguien que pueda atenderle. Gracias por su paciencia.",
		StillThere:   "¿Sigue ahí?",
		Joined:       "{agent} se ha unido a la conversación.",
		Transferred:  "{agent} se hace cargo de la conversación.",
		Resolved:     "Esta conversación se ha cerrado. El bot vuelve a atenderle.",
		Left:         "El bot vuelve a atenderle.",
		NobodyCame:   "Lo sentimos, nadie ha podido responder a tiempo.",
		Idle:         "Hace un rato que no hay mensajes. El bot vuelve a atenderle.",
		Queued:       "En este momento hay muchas consultas. Tardaremos un poco; gracias por su paciencia.",
		OpenFailed:   "Lo sentimos, no hemos podido contactar con nadie. El bot vuelve a atenderle.",
		RelayFailed:  "Lo sentimos, se ha perdido la conexión con nuestro equipo. El bot vuelve a atenderle.",
		Closed:       "Esta conversación ha terminado. El bot vuelve a atenderle.",
		NotAllowed:   "Lo sentimos, no se puede contactar con nadie por este canal.",
		TooSoon:      "Lo sentimos, todavía no hay nadie disponible. Inténtelo de nuevo más tarde.",
		AskEmail:     "¿A qué dirección de correo electrónico podemos escribirle?",
		BadEmail:     "Eso no parece una dirección de correo electrónico. ¿A qué dirección podemos escribirle?",
		ByEmail:      "Gracias. Le responderemos por correo electrónico.",
		WithBot:      "De acuerdo, ¿en qué puedo ayudarle?",
		NotSent:      "Lo sentimos, su último mensaje no se ha podido enviar. Envíelo de nuevo, por favor.",
		Leave:        "Volver al bot",

		NoteLeft:       "Esta persona vuelve a hablar con el bot.",
		NoteNobodyCame: "Esta persona ha esperado en vano y vuelve a hablar con el bot. Responda aquí para hacerse cargo de la conversación.",
		NoteNotShown:   "No se ha podido mostrar un mensaje a esta persona. Envíelo como texto sin formato, por favor.",
		NoteAway:       "Esta persona no ha vuelto y no ha visto lo que usted ha escrito.",
		NoteNotReached: "El canal de esta persona falla: no le ha llegado un mensaje.",
		NoteOtherFile:  "Esta persona ha enviado un archivo que no se ha podido transmitir.",
		NoteUnanswered: "El bot no ha podido responder a esta persona.",
	},
}
