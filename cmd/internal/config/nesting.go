package config

import (
	"bytes"

	"github.com/goccy/go-yaml/token"
)

// maxNesting is how many lists and mappings may lie inside each other in the text of a file. The parser takes memory and time
// with the square of it: 200 KiB of opening brackets take all the memory there is. A plant needs about ten.
const maxNesting = 100

// maxMarks is how many commas, colons, opening brackets and lines the text of a file may have. Each becomes tokens and nodes of the
// parser, a kilobyte and more: a file of 16 MiB that holds nothing else took all the memory there is. A tag takes about a dozen.
const maxMarks = 500_000

// tooMany returns the line in which a text has more marks than that, or 0.
func tooMany(src []byte) int {
	for line, marks := 1, 0; ; line++ {
		end := bytes.IndexByte(src, '\n')
		text := src
		if end >= 0 {
			text = src[:end]
		}
		for _, c := range text {
			switch c {
			case ',', ':', '[', '{':
				marks++
			}
		}
		if marks++; marks > maxMarks {
			return line
		}
		if end < 0 {
			return 0
		}
		src = src[end+1:]
	}
}

// tooDeep returns the token that is nested too deep, or nil.
func tooDeep(tokens token.Tokens) *token.Token {
	var blocks []int    // columns of the block lists and mappings around the place
	lists, maps := 0, 0 // brackets and braces around it
	for i, t := range tokens {
		column := 0
		switch t.Type {
		case token.SequenceStartType:
			lists++
		case token.SequenceEndType:
			lists = max(lists-1, 0)
		case token.MappingStartType:
			maps++
		case token.MappingEndType:
			maps = max(maps-1, 0)
		case token.SequenceEntryType, token.MappingKeyType:
			column = t.Position.Column
		case token.MappingValueType: // its key stands before it
			column = tokens[max(i-1, 0)].Position.Column
		}
		if column > 0 && lists+maps == 0 {
			for len(blocks) > 0 && blocks[len(blocks)-1] >= column {
				blocks = blocks[:len(blocks)-1]
			}
			blocks = append(blocks, column)
		}
		if lists+maps+len(blocks) > maxNesting {
			return t
		}
	}
	return nil
}
