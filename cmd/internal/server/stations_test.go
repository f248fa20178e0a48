package server

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/history/journal"
	"scada/web"
	"scada/web/uaserver"
)

// TestClientsComeAndGoInBothJournals: those of the standby as well, and one that comes again and again fills neither.
func TestClientsComeAndGoInBothJournals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, bubblePlant, nil)
		defer w.end()
		w.ready()
		w.node["a"].clients.page(web.Presence{What: web.ClientConnected, User: "li", Address: "10.0.0.7", Page: true})
		w.node["b"].clients.opcua(uaserver.Presence{What: uaserver.ClientLost, Name: "panel", Address: "10.0.0.8", Detail: "silent"})
		has := func(want ...string) func() error {
			return func() error {
				for _, name := range []string{"a", "b"} {
					page, err := w.node[name].journal.Query(journal.Query{Category: journal.CategoryWorkstation, Limit: journal.MaxPage})
					if err != nil {
						return err
					}
					var got []string
					for _, e := range page.Entries {
						if strings.HasPrefix(e.Kind, "client") {
							got = append(got, fmt.Sprintf("%s of %s: %s %q %s", e.Kind, e.Node, e.Source, e.User, e.Message))
						}
					}
					for _, line := range want {
						if n := strings.Count("\n"+strings.Join(got, "\n")+"\n", "\n"+line+"\n"); n != 1 {
							return fmt.Errorf("the journal of %s has %q %d times: %q", name, line, n, got)
						}
					}
				}
				return nil
			}
		}
		w.within(5*time.Second, "both journals have both", has(`client-connected of a: 10.0.0.7 "li" dashboard`, `client-lost of b: 10.0.0.8 "" opc ua: panel, silent`))
		for i := range 3 * clientsBurst {
			w.node["a"].clients.page(web.Presence{What: web.ClientConnected, User: fmt.Sprint(i), Address: "10.0.0.9"})
		}
		time.Sleep(clientsEvery)
		w.node["a"].clients.page(web.Presence{What: web.ClientLeft, User: "last", Address: "10.0.0.9"})
		left := 3*clientsBurst - clientsBurst + 1 // one was told before them
		w.within(5*time.Second, "the last says how many are missing", has(fmt.Sprintf(`client-left of a: 10.0.0.9 "last" program (%d before it are not in the journal: too many at a time)`, left)))
	})
}
