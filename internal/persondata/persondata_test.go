package persondata

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEmail(t *testing.T) {
	for in, want := range map[string]string{
		"ann@example.org": "ann@example.org", " Ann.Lee+x@Sub.Example.ORG\n": "Ann.Lee+x@Sub.Example.ORG", "MAILTO:a@b.co": "a@b.co", "o'hara@b.co": "o'hara@b.co",
		"a@xn--e1afmkfd.xn--p1ai": "a@xn--e1afmkfd.xn--p1ai", "a@пример.рф": "a@пример.рф", "user@1and1.com": "user@1and1.com",
	} {
		got, ok := Email(in)
		require.True(t, ok, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", " ", "ann", "ann@", "@example.org", "ann@example", "ann@localhost", "a@b@c.de", "a b@c.de", "a@b c.de", "Ann <ann@example.org>", "<ann@example.org>",
		"ann@example.org (Ann)", `"ann"@example.org`, "ann@example.org, bob@example.org", "ann@example.org\nBcc: x@y.zz", "ann@example.org\x00", "ann@.org", "ann@example..org", "ann@example.org.",
		".ann@example.org", "a..b@c.de", "ann@[1.2.3.4]", "ann@1.2.3.4", "ann@1.2.3.44", "ann@-a.org", "ann@a-.org", "ann@a_b.org", "a\u202e@b.co", "a@b.c", "[email protected]",
		strings.Repeat("a", 65) + "@b.co", "a@" + strings.Repeat("b.", 130) + "co", "a@" + strings.Repeat("b", 64) + ".co", "mailto:a@b.co?subject=x"} {
		got, ok := Email(in)
		require.False(t, ok, in)
		require.Empty(t, got)
	}
}

func TestPhone(t *testing.T) {
	for in, want := range map[string]string{"0605776995": "0605776995", " +33 (6) 05.77/69-95 ": "+33605776995", "tel:+12345": "+12345", "00 33 6\u00a005": "0033605"} {
		got, ok := Phone(in)
		require.True(t, ok, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", "+", "1234", "1234567890123456", "555-HELP", "12345 ext 6", "1+2345", "++12345", "+44 (0)20 7946 0018", "٠٦٠٥٧٧", "12345\n6", "-----"} {
		got, ok := Phone(in)
		require.False(t, ok, in)
		require.Empty(t, got)
	}
}

func TestFieldsAreReadAndWritten(t *testing.T) {
	p, err := Read([]byte(`{"first_name":"Ann","name":"annie","phone":12345,"email":null,"age":30,"big":12345678901234567890,"list":[1,{"a":null}]}`))
	require.NoError(t, err)
	require.Equal(t, Person{FirstName: "Ann", Nickname: "annie", Phone: "12345",
		Data: map[string]any{"age": 30.0, "big": "12345678901234567890", "list": `[1,{"a":null}]`}}, p)
	written, err := p.JSON()
	require.NoError(t, err)
	again, err := Read(written)
	require.NoError(t, err)
	require.Equal(t, p, again)
	for _, odd := range []string{``, `[]`, `"a"`, `{"a":1,"a":2}`, `{`} {
		_, err := Read([]byte(odd))
		require.ErrorIs(t, err, errObject, odd)
	}
}

func TestWhatAFieldCannotTakeStaysInData(t *testing.T) {
	p := Person{Nickname: "n", Data: map[string]any{"name": "m", "nickname": "o"}}.Normal()
	require.Equal(t, Person{Nickname: "n", Data: map[string]any{"name": "m", "nickname_2": "o"}}, p)
}

func TestPlainValues(t *testing.T) {
	cycle := map[string]any{}
	cycle["self"] = cycle
	data := Person{Data: map[string]any{
		"text": "a\xff", "number": json.Number("1e2"), "no number": json.Number("x"), "nan": math.NaN(), "nil": nil, "cycle": cycle, "pi": 3.5, "yes": true,
	}}.Normal().Data
	require.Equal(t, map[string]any{
		"text": "a\uFFFD", "number": 100.0, "no number": "x", "nan": "NaN", "nil": "null", "cycle": "(map[string]interface {})", "pi": 3.5, "yes": true,
	}, data)
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("a fault of the host's") }

func TestAValueThatPanics(t *testing.T) {
	p := Person{Data: map[string]any{"plan": panics{}, "city": "Lyon"}}
	require.NoError(t, p.Check())
	text, err := p.JSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"plan":"(persondata.panics)","city":"Lyon"}`, string(text))
}

func TestMetas(t *testing.T) {
	m := Person{FirstName: "Ann", LastName: "Lee", Nickname: "annie", Email: "no address", Phone: "+33 6 05 77", Avatar: "javascript:x",
		Data: map[string]any{"ours_x": "a lie", "Größe": 4.0, "big": strings.Repeat("x", maxDataValue+1)}}.Metas("ours_")
	require.Equal(t, "Ann Lee", m.Nickname)
	require.Empty(t, m.Email)
	require.Equal(t, "+3360577", m.Phone)
	require.Empty(t, m.Avatar)
	big := m.Data["big"].(string)
	require.Len(t, []rune(big), maxDataValue)
	require.Contains(t, big, "2001 characters in all")
	delete(m.Data, "big")
	require.Equal(t, map[string]any{"nickname": "annie", "email": "no address", "avatar": "javascript:x", "user_ours_x": "a lie", "gr_e": "Größe: 4"}, m.Data)
}

func TestCheck(t *testing.T) {
	require.NoError(t, Person{}.Check())
	require.ErrorContains(t, Person{LastName: strings.Repeat("x", maxUserBytes+1)}.Check(), "more than 262144 bytes")
	require.ErrorContains(t, Person{Data: map[string]any{"a": strings.Repeat("[", 30), "b": [][][][][][][][][][][][][][][][][][][][][]int{{{{{{{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}}}}}}}}}.Check(), "nested more than 20 deep")
}

func TestFindEmail(t *testing.T) {
	for text, want := range map[string]string{
		"anakin@example.com":                                 "anakin@example.com",
		"anakin@example.com.":                                "anakin@example.com",
		"My email is anakin@example.com!":                    "anakin@example.com",
		"<anakin@example.com>, please":                       "anakin@example.com",
		"\u202aanakin@example.com\u202c":                     "anakin@example.com",
		"mailto:anakin@example.com":                          "anakin@example.com",
		"anakin@example.com, I mean: \"anakin@example.com\"": "anakin@example.com",
		"ANAKIN@example.com is anakin@example.com":           "ANAKIN@example.com",
		"E-Mail:anakin@example.com":                          "anakin@example.com",
		"email=anakin@example.com":                           "anakin@example.com",
		"e_mail=anakin@example.com":                          "anakin@example.com",
		"https://shop.example/?a=b&email=anakin@example.com": "anakin@example.com",
		"anakin=x@a.example":                                 "anakin=x@a.example",
		"我的email=anakin@example.com":                         "anakin@example.com",
		"anakin@naver.com입니다":                                "anakin@naver.com",
		"제 이메일은 anakin@naver.com이에요":                         "anakin@naver.com",
		"사용자@example.com":                                    "사용자@example.com",
		"anakin@a.example①":                                  "anakin@a.example",
		"②anakin@a.example®":                                 "anakin@a.example",
		"[anakin@example.com](mailto:anakin@example.com)":    "anakin@example.com",
		"anakin\u200b@example.com\ufeff":                     "anakin@example.com",
		"anakin＠example.com。":                                "anakin@example.com",
		"我的邮箱是anakin@example.com谢谢":                          "anakin@example.com",
		"邮箱：anakin@example.com":                              "anakin@example.com",
		"用户@例子.广告":                                           "用户@例子.广告",
		"josé@exämple.com":                                   "josé@exämple.com",
		"anakin+shop@example.com👍":                           "anakin+shop@example.com",
		"a@example.com,b@example.com":                        "",
		"甲a@example.com乙b@example.com":                       "",
		"a@example.com or b@example.com":                     "",
		"I have none":                                        "",
		"@":                                                  "",
		"":                                                   "",
	} {
		got, ok := FindEmail(text)
		require.Equal(t, want, got, text)
		require.Equal(t, want != "", ok, text)
	}
}
