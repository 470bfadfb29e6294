package translations

import "github.com/crisphandover/handover"

var polish = translation{
	noAgent: "W tej chwili nikt nie jest dostępny. Co chcą Państwo zrobić?",
	byEmail: "Odpowiedź e-mailem",
	withBot: "Rozmowa z botem",
	texts: handover.Texts{
		Opening:        "Dzień dobry, ta osoba potrzebuje pomocy.\nHistoria rozmowy znajduje się tutaj: {link}",
		OpeningByEmail: "Dzień dobry, ta osoba prosi o odpowiedź e-mailem.\nHistoria rozmowy znajduje się tutaj: {link}",
		Edited:         "Edytowano: ",
		Agent:          "Osoba z naszego zespołu",

		Waiting:      "Wkrótce odpowie osoba z naszego zespołu. Już teraz można opisać swoją sprawę.",
		StillWaiting: "Nadal szukamy osoby, która może pomóc. Dziękujemy za cierpliwość.",
		StillThere:   "Czy są Państwo jeszcze z nami?",
		Joined:       "{agent} dołącza do rozmowy.",
		Transferred:  "{agent} przejmuje rozmowę.",
		Resolved:     "Ta rozmowa została zamknięta. Teraz znowu odpowiada bot.",
		Left:         "Teraz znowu odpowiada bot.",
		NobodyCame:   "Przepraszamy, nikt nie mógł odpowiedzieć na czas.",
		Idle:         "Od pewnego czasu nie ma nowych wiadomości. Teraz znowu odpowiada bot.",
		Queued:       "W tej chwili otrzymujemy wiele zapytań. To potrwa jeszcze chwilę; dziękujemy za cierpliwość.",
		OpenFailed:   "Przepraszamy, nie udało się z nikim skontaktować. Teraz znowu odpowiada bot.",
		RelayFailed:  "Przepraszamy, połączenie z naszym zespołem zostało przerwane. Teraz znowu odpowiada bot.",
		Closed:       "Ta rozmowa została zakończona. Teraz znowu odpowiada bot.",
		NotAllowed:   "Przepraszamy, przez ten kanał nie można się z nikim skontaktować.",
		TooSoon:      "Przepraszamy, nikt nie jest jeszcze dostępny. Prosimy spróbować ponownie później.",
		AskEmail:     "Na jaki adres e-mail możemy napisać?",
		BadEmail:     "To nie wygląda na adres e-mail. Na jaki adres możemy napisać?",
		ByEmail:      "Dziękujemy. Odpowiemy e-mailem.",
		WithBot:      "Dobrze, w czym mogę pomóc?",
		NotSent:      "Przepraszamy, nie udało się wysłać ostatniej wiadomości. Prosimy wysłać ją ponownie.",
		Leave:        "Powrót do bota",

		NoteLeft:       "Ta osoba znowu rozmawia z botem.",
		NoteNobodyCame: "Ta osoba czekała na próżno i znowu rozmawia z botem. Aby przejąć rozmowę, proszę odpowiedzieć tutaj.",
		NoteNotShown:   "Nie udało się wyświetlić wiadomości tej osobie. Proszę wysłać ją jako zwykły tekst.",
		NoteAway:       "Ta osoba nie wróciła i nie widziała tego, co do niej napisano.",
		NoteNotReached: "Kanał tej osoby nie działa: wiadomość do niej nie dotarła.",
		NoteOtherFile:  "Ta osoba wysłała plik, którego nie udało się przekazać.",
		NoteUnanswered: "Bot nie mógł odpowiedzieć tej osobie.",
	},
}
