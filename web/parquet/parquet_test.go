package parquet_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"scada/web/api"
	"scada/web/parquet"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)

func sample(after time.Duration, v any, quality string) api.Sample {
	at := noon.Add(after)
	return api.Sample{Time: &at, Value: v, Quality: quality}
}

// fileOf writes series into a file.
func fileOf(t testing.TB, series ...api.Series) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewWriter(&b)
	for _, s := range series {
		if err := w.Write(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rowsOf reads a file; errors of rows stand as text in their place.
func rowsOf(b []byte) (rows []any, err error) {
	r, err := parquet.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	for {
		row, n, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case n == 0:
			return rows, err
		case n != len(rows)+1:
			return rows, fmt.Errorf("row %d comes after %d", n, len(rows))
		case err != nil:
			rows = append(rows, err.Error())
		default:
			rows = append(rows, row)
		}
	}
}

// TestEveryValueComesBack writes values as the server has them and as a client reads them from JSON.
func TestEveryValueComesBack(t *testing.T) {
	long := strings.Repeat("水", parquet.MaxText/3)
	for i, x := range []struct{ in, out any }{
		{nil, nil}, {true, json.Number("1")}, {false, json.Number("0")}, {"", ""}, {"水泵", "水泵"}, {long, long}, {"\xff", "\uFFFD"},
		{1.5, json.Number("1.5")}, {math.Copysign(0, -1), json.Number("-0")}, {math.MaxFloat64, json.Number("1.7976931348623157e+308")},
		{math.SmallestNonzeroFloat64, json.Number("5e-324")}, {float32(0.1), json.Number("0.1")}, {float32(math.MaxFloat32), json.Number("3.4028235e+38")},
		{int64(-7), json.Number("-7")}, {int64(1 << 53), json.Number("9.007199254740992e+15")}, {int64(1<<53 + 1), "9007199254740993"},
		{int64(math.MinInt64), json.Number("-9.223372036854776e+18")}, {int64(math.MaxInt64), "9223372036854775807"}, {uint64(math.MaxUint64), "18446744073709551615"},
		{json.Number("0.25"), json.Number("0.25")}, {json.Number("9007199254740993"), "9007199254740993"},
	} {
		at := noon.Add(time.Duration(i))
		got, err := rowsOf(fileOf(t, api.Series{Tag: "line1/flow", Samples: []api.Sample{{Time: &at, Value: x.in, Quality: "Good"}}}))
		want := api.TagChange{Name: "line1/flow", Sample: api.Sample{Time: &at, Value: x.out, Quality: "Good"}}
		if err != nil || !reflect.DeepEqual(got, []any{want}) {
			t.Errorf("%T %.20v came back as %.200v, %v", x.in, x.in, got, err)
		}
	}
}

// TestManyRowGroups: the rows of all row groups come in order, also those ended by long texts; the units are in the file.
func TestManyRowGroups(t *testing.T) {
	var want []any
	var series []api.Series
	for i, n := range []int{135_000, 1, 0} {
		s := api.Series{Tag: fmt.Sprint("t", i), Unit: "m³/h"}
		for k := range n {
			s.Samples = append(s.Samples, sample(time.Duration(k)*time.Second, json.Number(fmt.Sprint(k%1000)), []string{"Good", "Bad_NoData"}[k%100/99]))
		}
		series = append(series, s)
	}
	texts := api.Series{Tag: "texts"}
	for k := range 270 {
		texts.Samples = append(texts.Samples, sample(time.Duration(k), strings.Repeat(fmt.Sprint(k%10), parquet.MaxText), "Good"))
	}
	series = append(series, texts)
	for _, s := range series {
		for _, x := range s.Samples {
			want = append(want, api.TagChange{Name: s.Tag, Sample: x})
		}
	}
	b := fileOf(t, series...)
	got, err := rowsOf(b)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d rows of %d, %v", len(got), len(want), err)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("row %d: %.200v, want %.200v", i, got[i], want[i])
		}
	}
	f, err := pq.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.RowGroups()); n != 1+2 {
		t.Errorf("%d row groups", n)
	}
	if units, _ := f.Lookup(parquet.UnitsKey); units != `{"t0":"m³/h","t1":"m³/h","t2":"m³/h"}` {
		t.Errorf("units %s", units)
	}
	t.Logf("%d rows in %d bytes", len(want), len(b))
}

// TestFilesOfOthers: what other programs write is understood, or refused with the reason.
func TestFilesOfOthers(t *testing.T) {
	at := noon.Truncate(time.Millisecond)
	row := func(v any, quality string) any {
		return api.TagChange{Name: "x", Sample: api.Sample{Time: &at, Value: v, Quality: quality}}
	}
	for name, x := range map[string]struct {
		file []byte
		want []any
		err  string
	}{
		"microseconds, whole numbers, more columns": {foreign(t, []struct {
			More  []string `parquet:"more,list"`
			Value int32    `parquet:"value"`
			Time  int64    `parquet:"time,timestamp(microsecond)"`
			Tag   string   `parquet:"tag"`
		}{{[]string{"a", "b"}, -3, at.UnixMicro(), "x"}, {nil, 4, at.UnixMicro(), "x"}}), []any{row(json.Number("-3"), ""), row(json.Number("4"), "")}, ""},
		"milliseconds, no sign": {foreign(t, []struct {
			Tag     string  `parquet:"tag,dict"`
			Time    int64   `parquet:"time,timestamp(millisecond)"`
			Value   uint64  `parquet:"value,optional"`
			Quality *string `parquet:"quality,optional"`
		}{{"x", at.UnixMilli(), math.MaxUint64, nil}}), []any{row(json.Number("18446744073709551615"), "")}, ""},
		"NaN is none, an infinity is told": {foreign(t, []struct {
			Tag   string  `parquet:"tag"`
			Time  int64   `parquet:"time,timestamp(nanosecond)"`
			Value float32 `parquet:"value"`
		}{{"x", at.UnixNano(), float32(math.NaN())}, {"x", at.UnixNano(), float32(math.Inf(-1))}, {"x", at.UnixNano(), 0.1}}), []any{row(nil, ""), row("-Inf", ""), row(json.Number("0.1"), "")}, ""},
		"booleans": {foreign(t, []struct {
			Tag   string `parquet:"tag"`
			Time  int64  `parquet:"time,timestamp(nanosecond)"`
			Value bool   `parquet:"value"`
		}{{"x", at.UnixNano(), true}}), []any{row(true, "")}, ""},
		"rows that are wrong": {foreign(t, []struct {
			Tag   string `parquet:"tag"`
			Time  *int64 `parquet:"time,timestamp(millisecond),optional"`
			Value string `parquet:"value"`
		}{{"x", nil, "1"}, {"x", ptr(at.UnixMilli()), "2"}, {"x", ptr(int64(math.MaxInt64)), "3"}, {"x", ptr(at.UnixMilli()), strings.Repeat("a", parquet.MaxText+1)}}),
			[]any{"it has no time", row("2", ""), "the time 9223372036854775807 is out of range", "a text has more than 65536 bytes"}, ""},
		"no zone": {file: foreign(t, []struct {
			Tag   string  `parquet:"tag"`
			Time  int64   `parquet:"time,timestamp(nanosecond:local)"`
			Value float64 `parquet:"value"`
		}{{}}), err: "no zone"},
		"no timestamp": {file: foreign(t, []struct {
			Tag   string  `parquet:"tag"`
			Time  int64   `parquet:"time"`
			Value float64 `parquet:"value"`
		}{{}}), err: "want a timestamp"},
		"no value": {file: foreign(t, []struct {
			Tag  string `parquet:"tag"`
			Time int64  `parquet:"time,timestamp(nanosecond)"`
		}{{}}), err: `no column "value"`},
		"values with parts": {file: foreign(t, []struct {
			Tag   string  `parquet:"tag"`
			Time  int64   `parquet:"time,timestamp(nanosecond)"`
			Value []int64 `parquet:"value,list"`
		}{{}}), err: "has parts"},
		"dates": {file: foreign(t, []struct {
			Tag   string `parquet:"tag"`
			Time  int64  `parquet:"time,timestamp(nanosecond)"`
			Value int32  `parquet:"value,date"`
		}{{}}), err: "want numbers"},
		"a tag that is a number": {file: foreign(t, []struct {
			Tag   int64  `parquet:"tag"`
			Time  int64  `parquet:"time,timestamp(nanosecond)"`
			Value string `parquet:"value"`
		}{{}}), err: "want texts"},
		"not a file":   {file: []byte("PAR1 tag,time,value PAR1"), err: "not a Parquet file"},
		"nothing":      {file: nil, err: "not a Parquet file"},
		"other things": {file: foreign(t, []struct{ A int }{{}}), err: "no column"},
	} {
		got, err := rowsOf(x.file)
		switch {
		case x.err != "" && (err == nil || !strings.Contains(err.Error(), x.err)):
			t.Errorf("%s: %v, want %q", name, err, x.err)
		case x.err == "" && (err != nil || !reflect.DeepEqual(got, x.want)):
			t.Errorf("%s: %.300v, %v; want %v", name, got, err, x.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// foreign is a file of another program: rows of any struct.
func foreign[T any](t *testing.T, rows []T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pq.NewGenericWriter[T](&b)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCutFileIsRefused cuts a file everywhere: no cut one passes for whole.
func TestCutFileIsRefused(t *testing.T) {
	b := smallFile(t)
	for n := range b {
		if rows, err := rowsOf(b[:n]); err == nil {
			t.Fatalf("cut at %d of %d: %d rows", n, len(b), len(rows))
		}
	}
}

// smallFile has every kind of cell.
func smallFile(t testing.TB) []byte {
	s := api.Series{Tag: "a", Unit: "bar"}
	for i := range 30 {
		s.Samples = append(s.Samples, sample(time.Duration(i), []any{nil, 1.5, true, "text", json.Number("9007199254740993")}[i%5], "Good"))
	}
	return fileOf(t, s)
}

// TestPagesAreBounded: a header that asks for more than a page may have is refused before the decoder believes it.
func TestPagesAreBounded(t *testing.T) {
	b := smallFile(t)
	// The first page is the dictionary of the tags. Its header begins with type, uncompressed size and compressed size: three
	// fields of the compact protocol, 0x15 and a zigzag varint each.
	at := len(parquet.Magic)
	if b[at] != 0x15 || b[at+2] != 0x15 {
		t.Fatalf("the header of the first page begins %x", b[at:at+8])
	}
	var size [5]byte
	n := binary.PutUvarint(size[:], 2*(64<<20+1))
	longer := append(append(bytes.Clone(b[:at+3]), size[:n]...), b[at+4:]...)
	if rows, err := rowsOf(longer); err == nil || !strings.Contains(err.Error(), "the limit is 67108864") {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// FuzzReader: whatever a file holds, reading it ends, with rows that are numbered and can be sent on.
func FuzzReader(f *testing.F) {
	b := smallFile(f)
	f.Add(b)
	for i := 0; i < len(b); i += len(b) / 40 {
		flipped := bytes.Clone(b)
		flipped[i] ^= 0x11
		f.Add(flipped)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := rowsOf(b)
		if err != nil {
			return
		}
		for _, r := range rows {
			row, ok := r.(api.TagChange)
			if !ok || row.Time.Year() > 9999 || row.Time.Year() < 0 {
				continue
			}
			if _, err := json.Marshal(row); err != nil {
				t.Fatalf("%+v: %v", row, err)
			}
		}
	})
}
