package translations

import "github.com/crisphandover/handover"

var spanish = translation{
	noAgent: "En este momento no hay nadie disponible. ¿Qué desea hacer?",
	byEmail: "Respuesta por correo",
	withBot: "Seguir con el bot",
	texts: handover.Texts{
		Opening:        "Hola, este usuario necesita su ayuda.\nEl historial de la conversación está aquí: {link}",
		OpeningByEmail: "Hola, este usuario pide una respuesta por correo electrónico.\nEl historial de la conversación está aquí: {link}",
		Edited:         "Editado: ",
		Agent:          "Un agente",

		Waiting:      "Enseguida le atenderá una persona. Mientras tanto puede describir su consulta.",
		StillWaiting: "Seguimos buscando a alguien que le atienda. Gracias por su paciencia.",
		StillThere:   "¿Sigue ahí?",
		Joined:       "{agent} se ha unido a la conversación.",
		Transferred:  "{agent} continúa la conversación.",
		Resolved:     "Esta conversación se ha cerrado. Ahora habla de nuevo con el bot.",
		Left:         "Ahora habla de nuevo con el bot.",
		NobodyCame:   "Lo sentimos, nadie ha podido responder a tiempo.",
		Idle:         "Hace un rato que no hay mensajes. Ahora habla de nuevo con el bot.",
		Queued:       "En este momento hay muchas consultas. Tardaremos un poco; gracias por su paciencia.",
		OpenFailed:   "Lo sentimos, no hemos podido localizar a nadie. Ahora habla de nuevo con el bot.",
		RelayFailed:  "Lo sentimos, se ha perdido la conexión con nuestro equipo. Ahora habla de nuevo con el bot.",
		Closed:       "Esta conversación ha terminado. Ahora habla de nuevo con el bot.",
		NotAllowed:   "Lo sentimos, no se puede contactar con nadie por este canal.",
		TooSoon:      "Lo sentimos, todavía no hay nadie disponible. Inténtelo de nuevo más tarde.",
		AskEmail:     "¿A qué dirección de correo electrónico podemos escribirle?",
		BadEmail:     "Eso no parece una dirección de correo electrónico. ¿A qué dirección podemos escribirle?",
		ByEmail:      "Gracias. Le responderemos por correo electrónico.",
		WithBot:      "De acuerdo, le escucho.",
		NotSent:      "Lo sentimos, su último mensaje no se ha podido enviar. Envíelo de nuevo, por favor.",
		Leave:        "Volver al bot",

		NoteLeft:       "El usuario habla de nuevo con el bot.",
		NoteNobodyCame: "El usuario ha esperado en vano y habla de nuevo con el bot. Responda aquí para atenderle.",
		NoteNotShown:   "No se ha podido mostrar un mensaje al usuario. Envíelo como texto sin formato.",
		NoteAway:       "El usuario no ha vuelto y no ha visto lo que usted escribió.",
		NoteNotReached: "El canal del usuario falla: un mensaje no le ha llegado.",
		NoteOtherFile:  "El usuario ha enviado un archivo que no se ha podido transmitir.",
		NoteUnanswered: "El bot no ha podido responder al usuario.",
	},
}
