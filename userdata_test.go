package handover_test

import (
	stdjson "encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/persondata"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestUserDataDecodesTheConnectorsExample(t *testing.T) {
	want := handover.UserData{
		FirstName: "Anakin", LastName: "Skywalker", Email: "[email protected]", Phone: "0605776995",
		Data: map[string]any{"gtu_accepted": "false", "comments": "in this guy, the force is strong"},
	}
	example := readFile(t, "testdata/userdata/connector.json")
	var v1, v2 handover.UserData
	require.NoError(t, stdjson.Unmarshal(example, &v1))
	require.NoError(t, json.Unmarshal(example, &v2))
	require.Equal(t, want, v1)
	require.Equal(t, want, v2)
	var m map[string]any
	require.NoError(t, stdjson.Unmarshal(example, &m))
	require.Equal(t, want, handover.NewUserData(m))
	require.JSONEq(t, string(example), string(must(stdjson.Marshal(want))(t)))
	require.JSONEq(t, string(example), string(must(json.Marshal(want))(t)))

	// The page that the example was copied from hid the address, and left none.
	metas := handover.Metas(want)
	require.Equal(t, "Anakin Skywalker", metas.Nickname)
	require.Empty(t, metas.Email)
	require.Equal(t, "0605776995", metas.Phone)
	require.Equal(t, map[string]any{"email": "[email protected]", "gtu_accepted": "false", "comments": "in this guy, the force is strong"}, metas.Data)
}

var jsonLoose = jsontext.AllowInvalidUTF8(true)

func TestUserDataValues(t *testing.T) {
	tests := map[string]struct {
		in   string
		want handover.UserData
	}{
		"null":    {`null`, handover.UserData{}},
		"nothing": {`{}`, handover.UserData{}},
		"types": {`{"s":"x","t":true,"f":false,"n":1.5,"i":3,"z":0,"null":null,"o":{"b": [1, "x"],"a":1e999},"l":[]}`,
			handover.UserData{Data: map[string]any{"s": "x", "t": true, "f": false, "n": 1.5, "i": 3.0, "z": 0.0, "null": "null", "o": `{"b":[1,"x"],"a":1e999}`, "l": "[]"}}},
		"numbers": {`{"big":9007199254740993,"edge":9007199254740991,"huge":1e999,"tiny":1e-999,"long":0.12345678901234567890,"e":1.632e14,"neg":-0.5}`,
			handover.UserData{Data: map[string]any{"big": "9007199254740993", "edge": 9007199254740991.0, "huge": "1e999", "tiny": 0.0, "long": "0.12345678901234567890", "e": 1.632e14, "neg": -0.5}}},
		"other types in fields": {`{"first_name":7,"last_name":true,"email":{"a":1},"phone_number":605776995,"avatar":null}`,
			handover.UserData{FirstName: "7", LastName: "true", Email: `{"a":1}`, Phone: "605776995"}},
		"other names": {`{"name":"Ann","phone":"12345"}`, handover.UserData{Nickname: "Ann", Phone: "12345"}},
		"both names": {`{"nickname":"A","name":"B","phone":"12345","phone_number":"67890"}`,
			handover.UserData{Nickname: "A", Phone: "67890", Data: map[string]any{"name": "B", "phone": "12345"}}},
		"case":      {`{"Email":"a@b.co","FIRST_NAME":"x"}`, handover.UserData{Data: map[string]any{"Email": "a@b.co", "FIRST_NAME": "x"}}},
		"not UTF-8": {"{\"a\\ud800\":\"b\xff\"}", handover.UserData{Data: map[string]any{"a�": "b�"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var u handover.UserData
			require.NoError(t, json.Unmarshal([]byte(test.in), &u, jsonLoose))
			require.Equal(t, test.want, u)
			requireRoundTrip(t, u)
		})
	}
}

func requireRoundTrip(t testing.TB, u handover.UserData) {
	t.Helper()
	stored, err := json.Marshal(u)
	require.NoError(t, err)
	var again handover.UserData
	require.NoError(t, json.Unmarshal(stored, &again))
	require.Equal(t, u, again)
	require.Equal(t, handover.Metas(u), handover.Metas(again))
}

func TestUserDataFromGoValues(t *testing.T) {
	type plan string
	cycle := map[string]any{}
	cycle["self"] = cycle
	name := "Ann"
	in := map[string]any{
		"first_name": &name, "email": nil, "int": 3, "int64": int64(1) << 60, "uint8": uint8(7), "f32": float32(0.1), "number": stdjson.Number("12"), "big": stdjson.Number("9007199254740993"), "no number": stdjson.Number("-Inf"), "raw": stdjson.RawMessage(`true`),
		"named": plan("pro"), "time": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "nan": math.NaN(), "inf": math.Inf(-1), "nil": nil, "list": []string{"a", "b"},
		"map": map[string]any{"b": 1, "a": []int{2}}, "wait": time.Minute, "chan": make(chan int), "cycle": cycle, "bad": "a\xff", "pointer": (*string)(nil),
	}
	u := handover.NewUserData(in)
	require.Equal(t, handover.UserData{FirstName: "Ann", Data: map[string]any{
		"int": 3.0, "int64": "1152921504606846976", "uint8": 7.0, "f32": 0.1, "number": 12.0, "big": "9007199254740993", "no number": "-Inf", "raw": true,
		"named": "pro", "time": "2026-01-02T03:04:05Z", "nan": "NaN", "inf": "-Inf", "nil": "null", "list": `["a","b"]`,
		"map": `{"a":[2],"b":1}`, "wait": "1m0s", "chan": "(chan int)", "cycle": "(map[string]interface {})", "bad": "a�", "pointer": "null",
	}}, u)
	requireRoundTrip(t, u)
	require.Len(t, in, 22, "the map is not changed")

	byHand := handover.UserData{Email: "a@b.co", Phone: "12345", Data: map[string]any{"email": "other", "phone": "67890", "phone_number": "1", "list": []int{1}, "first_name": "Ann"}}
	want := handover.UserData{FirstName: "Ann", Email: "a@b.co", Phone: "12345", Data: map[string]any{"email_2": "other", "phone": "67890", "phone_number_2": "1", "list": "[1]"}}
	var stored handover.UserData
	require.NoError(t, json.Unmarshal(must(json.Marshal(byHand))(t), &stored))
	require.Equal(t, want, stored)
	require.Equal(t, handover.Metas(byHand), handover.Metas(stored))
	require.Len(t, byHand.Data, 5, "the input is not changed")
}

func TestUserDataRefusesWhatIsNoObject(t *testing.T) {
	for _, in := range []string{`[]`, `"5551234"`, `5551234`, `{"5551234":`, `{"5551234":1,"5551234":2}`} {
		var u handover.UserData
		err := u.UnmarshalJSON([]byte(in))
		require.ErrorContains(t, err, "handover: user data must be one JSON object", in)
		require.NotContains(t, err.Error(), "5551234")
	}
}

func TestMetas(t *testing.T) {
	type metas struct {
		nickname, email, phone, avatar string
		data                           map[string]any
	}
	long := strings.Repeat("long ", 60)
	tests := map[string]struct {
		in   handover.UserData
		want metas
	}{
		"nothing":       {handover.UserData{}, metas{}},
		"first":         {handover.UserData{FirstName: " Ann\n"}, metas{nickname: "Ann"}},
		"last":          {handover.UserData{LastName: "Lee"}, metas{nickname: "Lee"}},
		"nickname":      {handover.UserData{Nickname: "Ann\tLee"}, metas{nickname: "Ann Lee"}},
		"all names":     {handover.UserData{FirstName: "Ann", LastName: "Lee", Nickname: "al"}, metas{nickname: "Ann Lee", data: map[string]any{"nickname": "al"}}},
		"long name":     {handover.UserData{FirstName: long}, metas{nickname: long[:199] + "…", data: map[string]any{"name": strings.TrimSpace(long)}}},
		"cleaned":       {handover.UserData{Email: " mailto:ann@example.org ", Phone: "tel:+33 6.05-77 (69)95", Avatar: " https://a.b/c.png "}, metas{email: "ann@example.org", phone: "+33605776995", avatar: "https://a.b/c.png"}},
		"not valid":     {handover.UserData{Email: " ann at example ", Phone: "+44 (0)20 7946 0018", Avatar: "javascript:x"}, metas{data: map[string]any{"email": "ann at example", "phone": "+44 (0)20 7946 0018", "avatar": "javascript:x"}}},
		"blank":         {handover.UserData{Email: " ", Phone: "\n", Avatar: "\t"}, metas{}},
		"twins":         {handover.UserData{Email: "bad", Data: map[string]any{"Email": "x", "EMAIL": "y"}}, metas{data: map[string]any{"email": "bad", "email_2": "y", "email_3": "x"}}},
		"keys":          {handover.UserData{Data: map[string]any{"Plan Type": 1, "a.b[c]": true, "a-b_c": "x", "_id": "7"}}, metas{data: map[string]any{"plan_type": 1.0, "a_b_c_": true, "a-b_c": "x", "_id": "7"}}},
		"keys kept":     {handover.UserData{Data: map[string]any{"A": 1, "a": 2, "a_2": 3, "ä": 4}}, metas{data: map[string]any{"a": 2.0, "a_2": 3.0, "a_3": 1.0, "data": "ä: 4"}}},
		"foreign keys":  {handover.UserData{Data: map[string]any{"имя": "Анна", "姓名": true, "": "x", "größe": 1.5}}, metas{data: map[string]any{"data": ": x", "data_2": "имя: Анна", "data_3": "姓名: true", "gr_e": "größe: 1.5"}}},
		"long key":      {handover.UserData{Data: map[string]any{strings.Repeat("k", 70): true}}, metas{data: map[string]any{strings.Repeat("k", 64): strings.Repeat("k", 70) + ": true"}}},
		"long value":    {handover.UserData{Data: map[string]any{"v": strings.Repeat("é", 3000)}}, metas{data: map[string]any{"v": strings.Repeat("é", 1969) + "… [cut, 3000 characters in all]"}}},
		"NUL":           {handover.UserData{Data: map[string]any{"v": "a\x00b"}}, metas{data: map[string]any{"v": "a�b"}}},
		"not a number":  {handover.UserData{Data: map[string]any{"v": math.NaN()}}, metas{data: map[string]any{"v": "NaN"}}},
		"nested values": {handover.UserData{Data: map[string]any{"v": []any{1, map[string]any{"a": nil}}}}, metas{data: map[string]any{"v": `[1,{"a":null}]`}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.want.data == nil {
				test.want.data = map[string]any{}
			}
			got := handover.Metas(test.in)
			require.Equal(t, test.want, metas{got.Nickname, got.Email, got.Phone, got.Avatar, got.Data})
		})
	}
}

func TestThousandsOfKeys(t *testing.T) {
	data := map[string]any{}
	for i := range 1000 {
		data["key "+strconv.Itoa(i)] = i
	}
	metas := handover.Metas(handover.NewUserData(data))
	require.Len(t, metas.Data, 1000)
	require.Equal(t, 999.0, metas.Data["key_999"])

	twins := map[string]any{} // all become the same key
	for i := range 10_000 {
		twins[strings.Repeat("é", 1+i%100)+strings.Repeat("ü", i/100)] = i
	}
	require.Len(t, handover.Metas(handover.UserData{Data: twins}).Data, len(twins))
}

func TestUserDataHasLimits(t *testing.T) {
	many := func(n int) map[string]any {
		data := map[string]any{}
		for i := range n {
			data[fmt.Sprint("key", i)] = "v"
		}
		return data
	}
	deep := func(n int) any {
		var v any = private
		for range n {
			v = []any{v}
		}
		return v
	}
	cycle := map[string]any{}
	cycle["self"] = cycle
	for name, tt := range map[string]struct {
		user handover.UserData
		says string
	}{
		"100,000 keys":          {handover.UserData{Data: many(100_000)}, "it has 100000 members, more than 1000"},
		"a key too many":        {handover.UserData{Data: many(1001)}, "it has 1001 members, more than 1000"},
		"as many as may be":     {handover.UserData{Data: many(1000)}, ""},
		"1 MB in a value":       {handover.UserData{Data: map[string]any{"a": strings.Repeat(private, 100_000)}}, "more than 262144 bytes"},
		"1 MB in a name":        {handover.UserData{Data: map[string]any{strings.Repeat(private, 100_000): 1}}, "more than 262144 bytes"},
		"1 MB in a field":       {handover.UserData{LastName: strings.Repeat(private, 100_000)}, "more than 262144 bytes"},
		"1 MB in a list":        {handover.UserData{Data: map[string]any{"a": strings.Split(strings.Repeat(private+" ", 100_000), " ")}}, "more than 262144 bytes"},
		"as large as may be":    {handover.UserData{Data: map[string]any{"a": strings.Repeat("v", 262_143)}}, ""},
		"nested":                {handover.UserData{Data: map[string]any{"a": deep(21)}}, "nested more than 20 deep"},
		"nested very deep":      {handover.UserData{Data: map[string]any{"a": deep(100_000)}}, ""}, // JSON cannot hold it: only its type is told
		"nested less":           {handover.UserData{Data: map[string]any{"a": deep(20)}}, ""},
		"brackets in a text":    {handover.UserData{Data: map[string]any{"a": strings.Repeat("[", 1000)}}, ""},
		"a map that has itself": {handover.UserData{Data: map[string]any{"a": cycle}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				turn, err := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				_, err = r.H.Start(r.T.Context(), turn, handover.Request{User: tt.user})
				if tt.says == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorContains(t, err, "Request.User: ")
				require.ErrorContains(t, err, tt.says)
				require.NotContains(t, err.Error(), private)
				require.Equal(t, handover.StateBot, r.Session().State)
			})
		})
	}
}

func TestNamesOfOurDataAreReserved(t *testing.T) {
	metas := handover.Metas(handover.UserData{Data: map[string]any{
		"handover_note": "a lie", "Handover Link": "another", "handover": "mine", "handovers": 2.0, "user_handover_note": "there already",
		"handover_" + strings.Repeat("x", 80): "long",
	}})
	for name := range metas.Data {
		require.False(t, strings.HasPrefix(name, "handover_"), name)
		require.LessOrEqual(t, len(name), 70)
	}
	require.Len(t, metas.Data, 6)
	require.Equal(t, "there already", metas.Data["user_handover_note"])
	require.Equal(t, "a lie", metas.Data["user_handover_note_2"])
	require.Equal(t, "another", metas.Data["user_handover_link"])
	require.Equal(t, "mine", metas.Data["handover"])
}

func FuzzUserData(f *testing.F) {
	f.Add(readFile(f, "testdata/userdata/connector.json"))
	f.Add([]byte(`{"name":"a","nickname":"b","phone":1e999,"phone_number":605776995,"Email":"x","email":" a@b.co ","ключ":{"a":[null]},"":true,"n":-0.0}`))
	f.Add([]byte("{\"\xff\":\"\\ud800\",\"A b\":1,\"a_b\":2}"))
	key := regexp.MustCompile(`^[a-z0-9_-]+$`)
	f.Fuzz(func(t *testing.T, data []byte) {
		var u handover.UserData
		if err := u.UnmarshalJSON(data); err != nil {
			require.Equal(t, handover.UserData{}, u)
			return
		}
		requireRoundTrip(t, u)
		metas := handover.Metas(u)
		if metas.Email != "" {
			_, ok := persondata.Email(metas.Email)
			require.True(t, ok)
		}
		require.GreaterOrEqual(t, len(metas.Data), len(u.Data))
		for name, value := range metas.Data {
			require.Regexp(t, key, name)
			switch v := value.(type) {
			case string:
				require.LessOrEqual(t, length(v), 2000)
				require.True(t, utf8.ValidString(v))
			case bool, float64:
			default:
				require.Fail(t, "type", fmt.Sprintf("%T", value))
			}
		}
		_, err := json.Marshal(metas.Data)
		require.NoError(t, err)
	})
}
