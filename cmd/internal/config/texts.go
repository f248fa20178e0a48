package config

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits of the texts in other languages.
const (
	maxTexts        = 10_000 // rows of all text files together
	maxTextBytes    = 1024   // of a cell
	maxTextsBytes   = 2 << 20
	maxTextLanguage = 8  // languages
	maxTextPlaces   = 10 // {places} in a text
)

// Texts are what the plant file says in words, in other languages: language -> the words there -> the words in the language. A
// {place} in both stands for one word or number.
type Texts map[string]map[string]string

var (
	languageTag = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$`)
	textPlace   = regexp.MustCompile(`\{\w+\}`)
)

// texts reads the text files.
func (b *builder) texts() {
	rows, size := 0, 0
	for i, pattern := range b.file.TextFiles {
		path := index("text_files", i)
		found, err := b.find(b.dir, pattern)
		if err != nil {
			b.failf(path, "%q is not a file pattern: %s", pattern, err)
			continue
		}
		if len(found) == 0 {
			b.failf(path, "no file matches %q", pattern)
		}
		for _, f := range found {
			if size += len(f.Data); f.err != nil {
				b.failf(path, "%s", f.err)
			} else if size > maxTextsBytes {
				b.failf(path, "the text files have more than %d bytes together", maxTextsBytes)
				return
			} else if rows += b.textCSV(b.resolvePath(f.Name), f.Data); rows > maxTexts {
				b.failf(path, "more than %d texts", maxTexts)
				return
			}
		}
	}
}

// textCSV takes the rows of a file over and returns how many there are.
func (b *builder) textCSV(name string, src []byte) int {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))))
	r.Comment = '#'
	languages, err := r.Read()
	if err != nil {
		b.csvError(name, err)
		return 0
	}
	if !b.textHeader(name, r, languages) {
		return 0
	}
	for n := 0; ; n++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			b.csvError(name, err)
			return n
		}
		for i := 1; i < len(row); i++ {
			b.text(name, r, languages[i], i, row)
		}
	}
}

// textHeader checks the names of the columns: text, then languages.
func (b *builder) textHeader(name string, r *csv.Reader, header []string) bool {
	if header[0] != "text" || len(header) < 2 || len(header) > 1+maxTextLanguage {
		b.add("", Position{name, 1, 1}, "the columns are text and then 1 to %d languages", maxTextLanguage)
		return false
	}
	for i, l := range header[1:] {
		if !languageTag.MatchString(l) {
			line, col := r.FieldPos(i + 1)
			b.add("", Position{name, line, col}, "%q is not a language such as zh", l)
			return false
		}
	}
	return true
}

// text takes one cell over.
func (b *builder) text(name string, r *csv.Reader, language string, i int, row []string) {
	text, other := strings.TrimSpace(row[0]), strings.TrimSpace(row[i])
	line, col := r.FieldPos(i)
	at := Position{name, line, col}
	all := b.config.Texts[language]
	_, twice := all[text]
	switch {
	case other == "":
		return // not translated yet
	case text == "" || len(text) > maxTextBytes || len(other) > maxTextBytes || !utf8.ValidString(text+other):
		b.add(language, at, "a text has 1 to %d bytes of UTF-8", maxTextBytes)
	case twice:
		b.add(language, at, "%q stands twice", text)
	case !samePlaces(text, other):
		b.add(language, at, "%q and its translation have different {places}, or more than %d", text, maxTextPlaces)
	default:
		if all == nil {
			all = map[string]string{}
			if b.config.Texts == nil {
				b.config.Texts = Texts{}
			}
			b.config.Texts[language] = all
		}
		all[text] = other
	}
}

// samePlaces reports whether every place of the translation is one of the text.
func samePlaces(text, other string) bool {
	known := map[string]bool{}
	for _, p := range textPlace.FindAllString(text, -1) {
		known[p] = true
	}
	for _, p := range textPlace.FindAllString(other, -1) {
		if !known[p] {
			return false
		}
	}
	return len(known) <= maxTextPlaces
}
