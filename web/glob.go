package web

// matchGlob reports whether the slash-separated name fits the pattern: * stands for any characters but the slash, ** for any, ?
// for one that is no slash. The time grows with the product of the lengths at worst: a star is only ever tried again
// from the last one seen, as an earlier one could not reach further.
func matchGlob(glob, text string) bool {
	pattern, name := []rune(glob), []rune(text)
	const none = -1
	p, n := 0, 0
	star, starAt := none, 0 // after the last *, and where its text ends so far
	deep, deepAt := none, 0 // the same for **
	for {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			if p < len(pattern) && pattern[p] == '*' {
				for p < len(pattern) && pattern[p] == '*' {
					p++
				}
				deep, deepAt, star = p, n, none
				continue
			}
			star, starAt = p, n
			continue
		case n < len(name) && p < len(pattern) && (pattern[p] == name[n] || pattern[p] == '?' && name[n] != '/'):
			p++
			n++
			continue
		case n == len(name) && p == len(pattern):
			return true
		}
		switch {
		case star != none && starAt < len(name) && name[starAt] != '/':
			starAt++
			p, n = star, starAt
		case deep != none && deepAt < len(name):
			deepAt++
			p, n, star = deep, deepAt, none
		default:
			return false
		}
	}
}
