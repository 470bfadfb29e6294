package translations

import "github.com/crisphandover/handover"

var polish = translation{
	noAgent: "W tej chwili nikt nie jest dostępny. Co chcą Państwo zrobić?",
	byEmail: "Odpowiedź e-mailem",
	withBot: "Rozmowa z botem",
	texts: handover.Texts{
		Opening:        "Dzień dobry, ten użytkownik potrzebuje pomocy.\nHistoria rozmowy znajduje się tutaj: {link}",
		OpeningByEmail: "Dzień dobry, ten użytkownik prosi o odpowiedź e-mailem.\nHistoria rozmowy znajduje się tutaj: {link}",
		Edited:         "Zmieniono: ",
		Agent:          "Konsultant",

		Waiting:      "Za chwilę ktoś się zgłosi. Już teraz można opisać swoje pytanie.",
		StillWaiting: "Nadal szukamy osoby, która może pomóc. Dziękujemy za cierpliwość.",
		StillThere:   "Czy są Państwo jeszcze z nami?",
		Joined:       "Do rozmowy dołącza {agent}.",
		Transferred:  "Rozmowę kontynuuje {agent}.",
		Resolved:     "Ta rozmowa została zamknięta. Teraz znowu odpowiada bot.",
		Left:         "Teraz znowu odpowiada bot.",
		NobodyCame:   "Przepraszamy, nikt nie mógł odpowiedzieć na czas.",
		Idle:         "Od pewnego czasu nie ma nowych wiadomości. Teraz znowu odpowiada bot.",
		Queued:       "W tej chwili otrzymujemy wiele zapytań. To potrwa jeszcze chwilę; dziękujemy za cierpliwość.",
		OpenFailed:   "Przepraszamy, nie udało się z nikim połączyć. Teraz znowu odpowiada bot.",
		RelayFailed:  "Przepraszamy, połączenie z naszym zespołem zostało przerwane. Teraz znowu odpowiada bot.",
		Closed:       "Ta rozmowa została zakończona. Teraz znowu odpowiada bot.",
		NotAllowed:   "Przepraszamy, w tym kanale nie można się z nikim połączyć.",
		TooSoon:      "Przepraszamy, nadal nikogo nie ma. Prosimy spróbować ponownie później.",
		AskEmail:     "Na jaki adres e-mail możemy napisać?",
		BadEmail:     "To nie wygląda na adres e-mail. Na jaki adres możemy napisać?",
		ByEmail:      "Dziękujemy. Odpowiemy e-mailem.",
		WithBot:      "Dobrze, w czym mogę pomóc?",
		NotSent:      "Przepraszamy, ostatniej wiadomości nie udało się wysłać. Prosimy wysłać ją ponownie.",
		Leave:        "Powrót do bota",

		NoteLeft:       "Użytkownik znowu rozmawia z botem.",
		NoteNobodyCame: "Użytkownik czekał na próżno i znowu rozmawia z botem. Aby przejąć rozmowę, proszę odpowiedzieć tutaj.",
		NoteNotShown:   "Nie udało się pokazać użytkownikowi wiadomości. Proszę wysłać ją jako zwykły tekst.",
		NoteAway:       "Użytkownik nie wrócił i nie widział tej wiadomości.",
		NoteNotReached: "Kanał użytkownika nie działa: wiadomość do niego nie dotarła.",
		NoteOtherFile:  "Użytkownik wysłał plik, którego nie udało się przekazać.",
		NoteUnanswered: "Bot nie mógł odpowiedzieć użytkownikowi.",
	},
}
