package api

// Texts is the answer of GET /api/v1/texts: what the plant file says, in another language. A {place} on both sides stands for one
// word or number.
type Texts struct {
	Texts map[string]string `json:"texts"`
}
