package exactjson_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/exactjson"
)

func TestReadObject(t *testing.T) {
	var text, empty, wrong string
	var n, zero int64
	var yes, no bool
	var told, absent *bool
	var any jsontext.Value
	fp := int64(0)
	rest := exactjson.ReadObject(jsontext.Value(`{"Text":"other","text":"a\n","empty":"","wrong":5,"n":1.5e1,"zero":0,"yes":true,"no":false,
		"told":false,"any":{"x":1},"fp":-7,"more":[],"fields":null}`),
		exactjson.To("text", &text), exactjson.To("empty", &empty), exactjson.To("wrong", &wrong), exactjson.To("n", &n), exactjson.To("zero", &zero), exactjson.To("yes", &yes), exactjson.To("no", &no),
		exactjson.To("told", &told), exactjson.To("absent", &absent), exactjson.To("any", &any), exactjson.To("fp", exactjson.FingerprintField(&fp)),
	)
	require.Equal(t, "a\n", text)
	require.Empty(t, empty+wrong)
	require.EqualValues(t, 15, n)
	require.Zero(t, zero)
	require.True(t, yes)
	require.False(t, no)
	require.NotNil(t, told)
	require.False(t, *told)
	require.Nil(t, absent)
	require.Equal(t, `{"x":1}`, string(any))
	require.EqualValues(t, -7, fp)
	require.JSONEq(t, `{"Text":"other","empty":"","wrong":5,"zero":0,"no":false,"more":[],"fields":null}`, string(rest))

	for _, v := range []string{``, `null`, `[{"text":"x"}]`, `"text"`} {
		require.Nil(t, exactjson.ReadObject(jsontext.Value(v), exactjson.To("text", &text)))
	}
	require.Equal(t, "a\n", text)
}

func TestOnly(t *testing.T) {
	v := jsontext.Value(`{"a":1,"b":2,"b":3,"c":null}`)
	for name, want := range map[string]string{"a": "1", "b": "", "c": "null", "d": "", "A": ""} {
		require.Equal(t, want, string(exactjson.Only(v, name)), name)
	}
	require.Nil(t, exactjson.Only(jsontext.Value(`[1]`), "a"))
	require.Equal(t, `"é"`, string(exactjson.Only(jsontext.Value("{\n \"\\u0061\\\"\" : \"é\" }"), `a"`)))
}

// FuzzScanner requires that JSON which was checked is taken apart as a JSON library does, and that any other
// bytes do no harm.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,{"b":"x\\\"y"}],"a":1e9,"":{}}`, " {\t\"a\" : [ ] , \"b\":null}\n", `[true,false,null,-1.5,"\\","]"]`, `{"a"`, `["`, `"\`, `{"\ud800":"\xff"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		type member struct{ name, value string }
		var want, got []member
		err := exactjson.Members(in, func(name string, v jsontext.Value) { want = append(want, member{name, string(v)}) })
		exactjson.ReadObject(in, exactjson.To("a", func(jsontext.Value) bool { return false }))
		exactjson.CheckedMembers(in, func(name []byte, v jsontext.Value) { got = append(got, member{string(name), string(v)}) })
		elements := exactjson.Elements(in)
		if err != nil {
			return
		}
		require.Equal(t, want, got)
		var list []jsontext.Value
		if jsontext.Value(in).Kind() == jsontext.KindBeginArray {
			dec := jsontext.NewDecoder(bytes.NewReader(in), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
			_, _ = dec.ReadToken()
			for dec.PeekKind() != jsontext.KindEndArray {
				v, err := dec.ReadValue()
				require.NoError(t, err)
				list = append(list, v.Clone())
			}
		}
		require.Equal(t, list, elements)
	})
}

func TestElements(t *testing.T) {
	require.Equal(t, []jsontext.Value{jsontext.Value(`1`), jsontext.Value(`{"a":[]}`)}, exactjson.Elements(jsontext.Value(` [1, {"a":[]} ]`)))
	require.Empty(t, exactjson.Elements(jsontext.Value(`{}`)))
	require.Empty(t, exactjson.Elements(nil))
}

func TestIntegers(t *testing.T) {
	for v, want := range map[string]int64{
		"1": 1, "-1": -1, "1.632e14": 163200000000000, "163240180126629.0": 163240180126629, "-1078189900": -1078189900,
		"9007199254740991": exactjson.MaxInteger, "-9007199254740991": -exactjson.MaxInteger,
		"999999999999999": 999999999999999, "1000000000000001": 1000000000000001, "163408013112345": 163408013112345,
		"9007199254740992": 0, "-9007199254740992": 0, "1e999": 0, "-1e999": 0, "0": 0, "-0": 0, "1.5": 0, "1e-400": 0,
		`"1"`: 0, "null": 0, "true": 0, "[1]": 0, "": 0,
	} {
		require.Equal(t, want, exactjson.Fingerprint(jsontext.Value(v)), v)
		require.Equal(t, max(want, 0), exactjson.Positive(jsontext.Value(v)), v)
	}
}
