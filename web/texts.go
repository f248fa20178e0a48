package web

import "scada/web/api"

// maxLanguage bounds the name of a language in bytes.
const maxLanguage = 16

func textRoutes() []route {
	return []route{{method: "GET", pattern: base + "/texts", permission: View, handle: (*Server).getTexts, answer: typeOf[api.Texts](),
		params: []param{{"lang", "language such as zh"}}, summary: "The plant's descriptions and messages in another language"}}
}

func (s *Server) getTexts(c *call) (any, error) {
	lang := c.query("lang")
	if lang == "" || len(lang) > maxLanguage {
		return nil, api.NewProblem(api.CodeBadRequest, "lang=%s: want a language such as zh", lang[:min(len(lang), maxLanguage)])
	}
	texts := s.backend.Plant().Texts[lang]
	if texts == nil {
		texts = map[string]string{}
	}
	return api.Texts{Texts: texts}, nil
}
