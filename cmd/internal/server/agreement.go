package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
)

// agreement remembers, over restarts, until when the archives of both nodes are known to be equal, area by area.
type agreement struct {
	path string

	mu    sync.Mutex
	until map[string]int64
}

func openAgreement(dir string) *agreement {
	a := &agreement{path: filepath.Join(dir, "agreed.json"), until: map[string]int64{}}
	b, err := readStored(a.path, smallFile)
	if err == nil {
		err = json.Unmarshal(b, &a.until)
	}
	if err != nil {
		// Missing or torn, it costs one comparison of everything, not a start.
		a.until = map[string]int64{}
	}
	return a
}

func (a *agreement) get(area string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.until[area]-int64(healMargin), 0)
}

// set remembers the instant. It is written beside and moved into place: a torn file would only cost time.
func (a *agreement) set(area string, until int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until[area] = until
	b, err := json.Marshal(a.until)
	if err != nil {
		return
	}
	if os.WriteFile(a.path+".new", b, agreedFileMode) == nil {
		_ = os.Rename(a.path+".new", a.path) // the next agreement writes it again
	}
}
