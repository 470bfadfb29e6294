package crispcontent

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

func TestHash(t *testing.T) {
	same := [][2]string{
		{`{"id":"a","text":"b","n":1}`, "{ \"n\": 1.0, \"text\": \"\\u0062\",\n\"id\": \"a\" }"},
		{`{"url":"u","preview":[{"url":"x"}]}`, `{"url":"u"}`},
		{`"a\u0062"`, `"ab"`},
		{`{"choices":[{"a":1,"b":{"c":2,"d":3}}]}`, `{"choices":[{"b":{"d":3,"c":2},"a":1}]}`},
		{`1e2`, `100`},
		{`{"preview":[]}`, `{}`},
	}
	for _, pair := range same {
		require.Equal(t, hash("x", jsontext.Value(pair[0])), hash("x", jsontext.Value(pair[1])), pair[0])
	}
	seen := map[string]string{}
	for _, content := range []string{``, `null`, `"a"`, `"b"`, `{}`, `[]`, `{"a":1}`, `{"a":2}`, `{"a":"1"}`, `{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":{"preview":1}}`,
		`{"a":`, `{"a":1e999}`, `"\ud800"`, "\"a\xffb\"", `{"a":1,"a":3}`, `"` + strings.Repeat("x", 1<<20) + `"`, strings.Repeat("[", 20000)} {
		in := jsontext.Value(content)
		sum := hash("text", in)
		require.Len(t, sum, 32)
		require.Empty(t, seen[sum], content)
		require.Equal(t, content, string(in), "the input is not changed")
		seen[sum] = "of " + content
	}
	require.NotEqual(t, hash("text", jsontext.Value(`"a"`)), hash("note", jsontext.Value(`"a"`)))
}

func TestHashOfAPickerDoesNotSeeTheChoice(t *testing.T) {
	asked, answered := jsontext.Value(`{"choices":[{"value":"a","selected":false}]}`), jsontext.Value(`{"choices":[{"value":"a","selected":true}]}`)
	require.Equal(t, Hash("picker", asked), Hash("picker", answered))
	require.NotEqual(t, Hash("carousel", asked), Hash("carousel", answered))
	require.NotEqual(t, Hash("picker", asked), Hash("picker", jsontext.Value(`{"choices":[{"value":"b"}]}`)))
	require.Len(t, Hash("picker", jsontext.Value(`{`)), 12)
}

func TestText(t *testing.T) {
	for content, want := range map[string]string{
		`"a b"`: "a b", `"a\u0000b"`: "a\uFFFDb", `12`: "12", `true`: "true", `null`: "", `{}`: "", `["a"]`: "", `"\ud800"`: "\uFFFD",
	} {
		got := Text("before")
		require.NoError(t, got.UnmarshalJSON([]byte(content)))
		require.Equal(t, want, string(got), content)
	}
	require.Equal(t, "a b", Text(" a\n\tb ").Label())
	link, ok := Text(" https://a.b/c d ").Link()
	require.True(t, ok)
	require.Equal(t, "https://a.b/c%20d", link)
	_, ok = Text("javascript:alert(1)").Link()
	require.False(t, ok)
	require.Equal(t, "\"a\\\"b\uFFFD\"", string(NewText("a\"b\xff")))
}

func TestFile(t *testing.T) {
	f, kind, err := readFile("file", jsontext.Value(`{"name":"..\\a/b\u202e.png","url":"https://a.b/ c","type":"Image/PNG; q=1","size":12,"duration":1.5}`))
	require.NoError(t, err)
	require.Equal(t, File{URL: "https://a.b/%20c", Name: "b.png", MIMEType: "image/png", Size: 12, Duration: 1500e6}, f)
	require.Equal(t, "image", kind)
	_, _, err = readFile("file", jsontext.Value(`{"url":"mailto:a@b.c"}`))
	require.ErrorIs(t, err, ErrLink)
	_, _, err = readFile("file", jsontext.Value(`[]`))
	require.ErrorIs(t, err, ErrShape)

	for _, tt := range []struct {
		file         File
		typ, content string
	}{
		{File{URL: "https://a.b/c.m4a", MIMEType: "audio/mp4", Duration: 2500e6}, "audio", `{"duration":2,"type":"audio/mp4","url":"https://a.b/c.m4a"}`},
		{File{URL: "https://a.b/c.m4a", MIMEType: "audio/mp4", Name: "x"}, "audio", `{"type":"audio/mp4","url":"https://a.b/c.m4a"}`},
		{File{URL: "https://a.b/c.png", MIMEType: "image/png"}, "file", `{"name":"c.png","type":"image/png","url":"https://a.b/c.png"}`},
		{File{URL: "https://a.b", Name: "x"}, "file", `{"name":"x","type":"application/octet-stream","url":"https://a.b"}`},
		{File{URL: "https://a.b/"}, "file", `{"name":"file","type":"application/octet-stream","url":"https://a.b/"}`},
	} {
		typ, content := tt.file.Message()
		require.Equal(t, tt.typ, typ)
		require.Equal(t, tt.content, string(content))
	}
}

// What users send has a name and a type that agents can be shown, whatever the channel says of it.
func TestTidy(t *testing.T) {
	for _, row := range []struct{ have, want File }{
		{File{URL: "https://a.example/b/cat.JPG?x=1"}, File{Name: "cat.JPG", MIMEType: "image/jpeg"}},
		{File{URL: "https://a.example/b/", Name: "voice.ogg"}, File{Name: "voice.ogg", MIMEType: "audio/ogg"}},
		{File{URL: "https://a.example"}, File{Name: "file"}},
		{File{Name: "../../etc/passwd"}, File{Name: "passwd"}},
		{File{Name: `C:\\temp\\a.pdf`}, File{Name: "a.pdf", MIMEType: "application/pdf"}},
		{File{Name: "invoice\u202egpj.exe\x00\r\n"}, File{Name: "invoicegpj.exe"}},
		{File{Name: ".htaccess"}, File{Name: "htaccess"}},
		{File{Name: "\u202e", URL: "https://a.example/%2e%2e%2fx.png"}, File{Name: "x.png", MIMEType: "image/png"}},
		{File{Name: "a.png", MIMEType: "Application/PDF; q=1"}, File{Name: "a.png", MIMEType: "application/pdf"}},
		{File{Name: "a.png", MIMEType: "no type"}, File{Name: "a.png", MIMEType: "image/png"}},
		{File{Name: strings.Repeat("x", 1000)}, File{Name: strings.Repeat("x", 199) + "…"}},
	} {
		row.want.URL = row.have.URL
		require.Equal(t, row.want, row.have.Tidy())
	}
}
