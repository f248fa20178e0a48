package api

// Mimics is the answer of GET /api/v1/mimics: the names of the users' drawings. GET /api/v1/mimics/{name} is one of them, as SVG
// from which everything is taken out that could do more than draw.
type Mimics struct {
	Mimics []string `json:"mimics"`
}
