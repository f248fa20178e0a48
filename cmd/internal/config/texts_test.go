package config_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"scada/cmd/internal/config"
)

func TestTexts(t *testing.T) {
	plant := base(t) + "\ntext_files: [\"*.words\"]\n"
	c, err := load(t, plant, map[string]string{"zh.words": "\xef\xbb\xbf# words\ntext,zh,de\nPump {n} tripped,泵 {n} 跳闸,Pumpe {n} ausgelöst\nDoor,门,\n"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Texts["zh"]["Pump {n} tripped"]; got != "泵 {n} 跳闸" || c.Texts["zh"]["Door"] != "门" || len(c.Texts["de"]) != 1 {
		t.Errorf("texts %v", c.Texts)
	}
	plain, err := load(t, base(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if plain.Digest == c.Digest {
		t.Error("the texts are not in the digest")
	}
	before := *c
	before.Texts = nil
	if d := config.Compare(&before, c); len(d.Changes) != 1 || d.Changes[0].Section != "texts" || len(d.Restart) != 0 {
		t.Errorf("the difference is %+v", d)
	}
	for words, want := range map[string]string{
		"":                       "plant.yaml:", // no file at all
		"zh,text\na,b\n":         "the columns are text and then",
		"text,Chinese\na,b\n":    "is not a language",
		"text,zh\na,b\na,c\n":    "zh.words:3:3: zh: \"a\" stands twice",
		"text,zh\na {n},b {m}\n": "different {places}",
		"text,zh\na\n":           "wrong number of fields",
		"text,zh\na,\xff\n":      "bytes of UTF-8",
		"text,zh\n" + strings.Repeat("x", 1025) + ",b\n":                "1 to 1024 bytes",
		"text,zh\n" + strings.Repeat("# padding\n", 2<<20/10+1):         "more than 2097152 bytes",
		"text,zh\n" + "{a} {b} {c} {d} {e} {f} {g} {h} {i} {j} {k},x\n": "or more than 10",
	} {
		files := map[string]string{"zh.words": words}
		if words == "" {
			files = nil
		}
		if _, err := load(t, plant, files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", words, err, want)
		}
	}
}

// FuzzTextFile loads anything as a text file: it is taken over or refused with its errors, and never has an empty text in it.
func FuzzTextFile(f *testing.F) {
	f.Add("text,zh\nPump {n},泵 {n}\n")
	f.Add("\xef\xbb\xbftext,zh,de\n\"a\nb\",c,\n#x\n")
	plant, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rows string) {
		b := config.Bundle{{Name: "plant.yaml", Data: append(plant[:len(plant):len(plant)], "text_files: [\"a.csv\"]\n"...)}, {Name: "a.csv", Data: []byte(rows)}}
		c, err := b.Load("plant.yaml")
		var errs config.Errors
		if err != nil && !errors.As(err, &errs) || err == nil && c == nil {
			t.Fatal(err)
		}
		if c == nil {
			return
		}
		for language, texts := range c.Texts {
			for text, other := range texts {
				if language == "" || text == "" || other == "" || len(text) > 1024 || len(other) > 1024 {
					t.Errorf("%q: %q is %q", language, text, other)
				}
			}
		}
	})
}
