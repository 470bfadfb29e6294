package crispcontent

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// length counts UTF-16 units in another way than the package does.
func length(s string) int { return len(utf16.Encode([]rune(s))) }

// requireWithin checks the bounds of a part, and that it is one thing.
func requireWithin(t testing.TB, p Part, b bounds) {
	t.Helper()
	things := 0
	for _, there := range []bool{p.Text != "", len(p.Cards) > 0, p.File != nil} {
		if there {
			things++
		}
	}
	require.Equal(t, 1, things)
	require.True(t, p.Text != "" || len(p.Options) == 0, "options stand under a text")
	require.LessOrEqual(t, length(p.Text), b.text)
	require.LessOrEqual(t, len(p.Options), b.options)
	for _, o := range p.Options {
		require.LessOrEqual(t, length(o.Label), b.title)
	}
	require.LessOrEqual(t, len(p.Cards), b.cards)
	for _, c := range p.Cards {
		require.NotEmpty(t, c.Title)
		require.True(t, length(c.Title) <= b.cardText && length(c.Subtitle) <= b.cardText)
		require.LessOrEqual(t, len(c.Buttons), b.buttons)
		for _, button := range c.Buttons {
			require.LessOrEqual(t, length(button.Title), b.title)
		}
	}
}

// says is all that parts say, a line each.
func says(parts []Part) string {
	var lines []string
	for _, p := range parts {
		lines = append(lines, p.Text)
		for _, o := range p.Options {
			lines = append(lines, "["+o.Label+"]")
		}
		for _, c := range p.Cards {
			lines = append(lines, "card "+c.Title, c.Subtitle, c.Image)
			for _, b := range c.Buttons {
				lines = append(lines, b.text())
			}
		}
	}
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return line == "" }), "\n")
}

func TestPartsAreWithinBounds(t *testing.T) {
	small := bounds{text: 2000, options: 13, title: 20, cards: 10, buttons: 3, cardText: 80}
	list := func(n int, item string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = strings.ReplaceAll(item, "#", strconv.Itoa(i+1))
		}
		return strings.Join(items, ",")
	}
	picker := func(text, choices string) string { return `{"text":"` + text + `","choices":[` + choices + `]}` }
	cards := func(all string) string { return `{"targets":[` + all + `]}` }
	words := strings.TrimSpace(strings.Repeat("word ", 1000))
	for name, tt := range map[string]struct {
		typ, content string
		parts        int
		kept         []string // each in this order somewhere in what the parts say
	}{
		"text":              {"text", `" a "`, 1, []string{" a "}},
		"long text":         {"picker", picker(words, list(2, `{"label":"T#"}`)), 3, []string{words[:1000], "[T1]", "[T2]"}},
		"one unit too long": {"text", `"` + strings.Repeat("x", 1999) + `😀"`, 2, []string{"x\n😀"}},
		"trailing space":    {"text", `"a` + strings.Repeat(" ", 3000) + `"`, 1, []string{"a"}},
		"13 choices":        {"picker", picker("q", list(13, `{"label":"T#"}`)), 1, []string{"q\n[T1]", "[T13]"}},
		"30 choices":        {"picker", picker("q", list(30, `{"label":"T#"}`)), 1, []string{"q\n\n1. T1\n", "13. T13\n", "30. T30", "[13. T13]"}},
		"a long choice":     {"picker", picker("q", `{"label":"T1"},{"label":"Contact me back via email"}`), 1, []string{"q\n\n1. T1\n2. Contact me back via email\n[1. T1]\n[2. Contact me back…]"}},
		"one long choice":   {"picker", picker("q", `{"label":"Contact me back via email"}`), 1, []string{"q\n\nContact me back via email\n[Contact me back via…]"}},
		"choices alone":     {"picker", picker("", `{"label":"T1"}`), 1, []string{"T1\n[T1]"}},
		"a long button": {"carousel", cards(`{"title":"E","actions":[{"label":"A label of more than twenty","url":"https://a.b"}]}`), 2,
			[]string{"A label of more than twenty: https://a.b\ncard E\nA label of more tha…: https://a.b"}},
		"a long card": {"carousel", cards(`{"title":"E","description":"d"},{"title":"` + words[:99] + `","description":"s"}`), 3,
			[]string{"card E\nd\n" + words[:99] + "\ns\ncard word", "…\ns"}},
		"21 cards":       {"carousel", cards(list(21, `{"title":"E#","description":"d"}`)), 3, []string{"E1", "E10", "E11", "E20", "E21"}},
		"7 buttons":      {"carousel", cards(`{"title":"E","actions":[` + list(7, `{"label":"B#","url":"https://a.b"}`) + `]}`), 1, []string{"card E", "B1", "B3", "card E", "B4", "B6", "card E", "B7"}},
		"text and cards": {"carousel", `{"text":"` + words + `","targets":[{"title":"E","description":"d"},{"title":"F"},{"title":"G","description":"g"}]}`, 6, []string{"word", "card E", "F", "card G"}},
	} {
		t.Run(name, func(t *testing.T) {
			parts, err := show(tt.typ, []byte(tt.content), 7, small)
			require.NoError(t, err)
			require.Len(t, parts, tt.parts)
			all := says(parts)
			for _, p := range parts {
				requireWithin(t, p, small)
			}
			for _, want := range tt.kept {
				_, rest, found := strings.Cut(all, want)
				require.True(t, found, "%q in %q", want, all)
				all = rest
			}
		})
	}
}

// TestWhatIsShownChooses has each choice chosen by whatever a user sees of it.
func TestWhatIsShownChooses(t *testing.T) {
	content := []byte(`{"text":"Which?","choices":[{"label":"Contact me back via email"},{"label":"Contact me back via phone"},` +
		`{"label":"3. FC Cologne of Germany"},{"label":"Contact me back never"},{"label":"Site"}]}`)
	var all Questions
	all.Shown("s", 7, "picker", content)
	for _, b := range []bounds{most, {2000, 13, 20, 1, 1, 1}, {2000, 2, 200, 1, 1, 1}, {2000, 3, 12, 1, 1, 1}, {2000, 9, 8, 1, 1, 1}} {
		parts, err := show("picker", content, 7, b)
		require.NoError(t, err)
		require.Len(t, parts, 1)
		require.Len(t, parts[0].Options, min(b.options, 5))
		for i, o := range parts[0].Options {
			_, index, ok := all.Choose("", o.Label)
			require.True(t, ok, o.Label)
			require.Equal(t, i, index, o.Label)
			_, index, ok = all.Choose(o.Payload, "")
			require.True(t, ok && index == i, o.Payload)
		}
		if b == most {
			require.Equal(t, "Which?", parts[0].Text, "nothing is listed")
			require.Equal(t, "Contact me back via email", parts[0].Options[0].Label)
			continue
		}
		require.Equal(t, "Which?\n\n1. Contact me back via email\n2. Contact me back via phone\n3. FC Cologne of Germany\n4. Contact me back never\n5. Site", parts[0].Text)
		for i, line := range strings.Split(parts[0].Text, "\n")[2:] {
			for _, said := range []string{line, strconv.Itoa(i + 1)} {
				_, index, ok := all.Choose("", said)
				require.True(t, ok && index == i, said)
			}
		}
		require.Empty(t, Unlisted(parts[0].Text, List([]string{"Contact me back via email", "Contact me back via phone"})))
	}
}

func TestLists(t *testing.T) {
	require.Equal(t, []string{"1. A", "", "3. B c"}, List([]string{"A", " ", "B\nc"}))
	require.Equal(t, []string{"A"}, List([]string{"A"}), "one alone has no number")
	require.Equal(t, "2. B", Unlisted("q\n1. A\n3. C", []string{"1. A", "2. B", "3. C"}))
	require.Equal(t, "1. A", Unlisted("q\n1. Apple", []string{"1. A"}))
	require.Empty(t, Unlisted("q\n1. Apple", []string{"1. A…"}))
}

func TestLongMessages(t *testing.T) {
	text := strings.TrimSpace(strings.Repeat("A sentence of words. ", 5000)) // 100 kB
	parts, err := Show("text", NewText(text), 5)
	require.NoError(t, err)
	require.Len(t, parts, 53)

	var choices []string
	for i := range 130 {
		choices = append(choices, `{"label":"Choice `+strconv.Itoa(i)+`"}`)
	}
	parts, err = Show("picker", []byte(`{"text":"Which?","choices":[`+strings.Join(choices, ",")+`]}`), 5)
	require.NoError(t, err)
	require.Len(t, parts, 1)
	require.Len(t, parts[0].Options, 100)
	require.Equal(t, "100. Choice 99", parts[0].Options[99].Label)
	require.Contains(t, parts[0].Text, "130. Choice 129")

	parts, err = Show("picker", []byte(`{"text":"q","choices":[{"label":"`+strings.Repeat("L", 5000)+`"},{"label":"M"}]}`), 5)
	require.NoError(t, err)
	require.Equal(t, 200, length(parts[len(parts)-1].Options[0].Label))

	card := `{"title":"T","actions":[` + strings.TrimSuffix(strings.Repeat(`{"label":"L","url":"https://a.b"},`, 30), ",") + `]}`
	parts, err = Show("carousel", []byte(`{"targets":[`+strings.Repeat(card+",", 40)+card+`]}`), 5)
	require.NoError(t, err)
	require.Len(t, parts, 2) // 41 cards of 30 buttons are 82 cards
	require.Len(t, parts[1].Cards, 32)
}

func TestWhatIsNotForTheUser(t *testing.T) {
	for _, typ := range []string{"note", "event"} {
		_, err := Show(typ, []byte(`"private"`), 1)
		require.ErrorIs(t, err, ErrPrivate)
	}
	for _, typ := range []string{"", "Text", "text ", "Note", "html", "whisper"} {
		_, err := Show(typ, []byte(`"private"`), 1)
		require.ErrorIs(t, err, ErrType, typ)
	}
}

// A link that is not safe goes, and the rest stays.
func TestUnsafeLinksAreLeftOut(t *testing.T) {
	for _, test := range []struct{ typ, content, want string }{
		{"picker", `{"text":"q","choices":[{"label":"a","action":{"type":"link","target":"javascript:alert(1)"}},{"label":"b"}]}`, "q [a] [b]"},
		{"picker", `{"text":"q","choices":[{"label":"a","action":{"type":"frame","target":""}}]}`, "q [a]"},
		{"picker", `{"text":"q","choices":[{"label":"a","action":{"type":"frame","target":"data:x"}},{"label":"b","action":{"type":"link","target":"https://b.c"}}]}`, "q  b: https://b.c [a] [b]"},
		{"carousel", `{"text":"q","targets":[{"title":"a","image":"data:x"}]}`, "q a"},
		{"carousel", `{"text":"q","targets":[{"title":"a","image":"mailto:a@b.c"},{"title":"c","image":"https://c.d/e.png"}]}`, "q a card c https://c.d/e.png"},
		{"carousel", `{"text":"q","targets":[{"title":"a","actions":[{"label":"l","url":"vbscript:x"}]}]}`, "q a"},
		{"carousel", `{"targets":[{"title":"a","actions":[{"label":"l","url":"vbscript:x"},{"label":"m","url":"https://b.c"}]}]}`, "card a m: https://b.c"},
	} {
		parts, err := Show(test.typ, []byte(test.content), 1)
		require.NoError(t, err, test.content)
		for _, p := range parts {
			require.True(t, p.Cut, test.content)
		}
		require.Equal(t, test.want, strings.ReplaceAll(says(parts), "\n", " "), test.content)
	}
	parts, err := Show("picker", []byte(`{"text":"q","choices":[{"label":"b","action":{"type":"link","target":"https://b.c"}}]}`), 1)
	require.NoError(t, err)
	require.False(t, parts[0].Cut)
}

func TestWhatCannotBeShown(t *testing.T) {
	for _, test := range []struct {
		typ, content string
		why          error
	}{
		{"text", ``, ErrShape}, {"text", `null`, ErrShape}, {"text", `""`, ErrEmpty}, {"text", `" \n\u200b"`, ErrEmpty}, {"text", `{"text":"a"}`, ErrShape},
		{"text", `12`, ErrShape}, {"text", `"a`, ErrShape},
		{"file", ``, ErrShape}, {"file", `null`, ErrLink}, {"file", `{}`, ErrLink}, {"file", `"https://a.b"`, ErrShape}, {"file", `{"url":7}`, ErrLink},
		{"file", `{"url":"mailto:a@b.c"}`, ErrLink}, {"file", `{"url":"javascript:alert(1)"}`, ErrLink}, {"file", `{"url":"data:image/png;base64,AAAA"}`, ErrLink},
		{"file", `{"url":"https://crisp.chat@evil.example/x"}`, ErrLink}, {"file", `{"url":"https://a.b","url":"https://c.d"}`, ErrShape},
		{"animation", `{"url":"//a.b"}`, ErrLink}, {"audio", `{"url":["https://a.b"]}`, ErrLink},
		{"picker", `[]`, ErrShape}, {"picker", `{}`, ErrEmpty}, {"picker", `{"text":"","choices":[]}`, ErrEmpty}, {"picker", `{"text":"q","choices":{}}`, ErrShape},
		{"picker", `{"text":"q","choices":["a"]}`, ErrShape}, {"picker", `{"text":"q","choices":[{"label":"a","action":"x"}]}`, ErrShape}, {"picker", `{"text":"q","text":"r"}`, ErrShape},
		{"field", `"q"`, ErrShape}, {"field", `{"text":"","explain":null}`, ErrEmpty},
		{"carousel", `{}`, ErrEmpty}, {"carousel", `{"targets":[{}]}`, ErrEmpty}, {"carousel", `{"targets":"x"}`, ErrShape},
		{"carousel", `{"targets":[{"image":"data:x"}]}`, ErrEmpty}, {"carousel", `{"targets":[{"actions":[{"label":"l","url":"vbscript:x"}]}]}`, ErrEmpty},
	} {
		parts, err := Show(test.typ, []byte(test.content), 1)
		require.ErrorIs(t, err, test.why, "%s %s", test.typ, test.content)
		require.Nil(t, parts)
	}
}
