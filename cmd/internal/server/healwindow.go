package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"scada/history"
)

// piecesAhead is how many pieces of a window may have come and wait for the disk.
const piecesAhead = 8

// window exchanges one window: what the active has comes here, what only is here goes there.
func (h *healer) window(ctx context.Context, d differing) (moved int, err error) {
	if d.theirs.Samples > 0 {
		if moved, err = h.pullWindow(ctx, d); err != nil {
			return moved, err
		}
	}
	if own, err := h.s.store.Windows(ctx, d.window.UnixNano(), d.window.Add(history.Window).UnixNano()); err != nil || len(own) == 1 && own[0].Digest == d.theirs {
		return moved, err // the other node lacks nothing
	}
	pushed, err := h.pushWindow(ctx, d)
	return moved + pushed, err
}

// pullWindow brings what the active has of a window here: while some pieces are on their way those before are stored.
func (h *healer) pullWindow(ctx context.Context, d differing) (moved int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pieces, failed := make(chan []byte, piecesAhead), make(chan error, 1)
	go func() {
		failed <- h.pullPieces(ctx, d, pieces)
		close(pieces)
	}()
	for piece := range pieces {
		batch := [][]byte{piece}
		for more := true; more && len(batch) < history.MaxPieces; {
			select {
			case next, ok := <-pieces:
				if more = ok; ok {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		n, importing := h.s.store.Import(ctx, batch...)
		if moved += n; importing != nil {
			cancel()
			err = importing
			break
		}
	}
	return moved, errors.Join(err, <-failed)
}

// pullPieces asks the active for a window, piece by piece.
func (h *healer) pullPieces(ctx context.Context, d differing, pieces chan<- []byte) error {
	for after, more := "", true; more; more = after != "" {
		if err := h.s.pace.wait(ctx); err != nil {
			return err
		}
		answer, err := h.ask(ctx, request{Op: opHistoryPull, History: &historyRequest{Window: d.window, After: after, Packed: true}}, nil)
		if err != nil {
			return err
		}
		h.s.pace.took(len(answer))
		next, data, ok := strings.Cut(string(answer), "\n")
		if !ok {
			return errors.New("a piece of history without its head")
		}
		select {
		case pieces <- []byte(data):
		case <-ctx.Done():
			return ctx.Err()
		}
		after = next
	}
	return nil
}

// pushWindow brings what is here of a window to the active.
func (h *healer) pushWindow(ctx context.Context, d differing) (moved int, err error) {
	for after, more := "", true; more; more = after != "" {
		if err := h.s.pace.wait(ctx); err != nil {
			return moved, err
		}
		data, next, err := h.s.store.Export(ctx, d.window, after)
		if err != nil {
			return moved, err
		}
		answer, err := h.ask(ctx, request{Op: opHistoryPush}, data)
		if err != nil {
			return moved, err
		}
		h.s.pace.took(len(data))
		added := 0
		if err := json.Unmarshal(answer, &added); err != nil {
			return moved, fmt.Errorf("answer of the active node to a piece of history: %w", err)
		}
		moved += added
		after = next
	}
	return moved, nil
}

func (s *Server) historyWindows(ctx context.Context, req historyRequest) ([]byte, error) {
	windows, err := s.store.Windows(ctx, req.From, req.To)
	return answer(windows, err)
}

// historyPull answers with a piece, later when what is live needs the processor.
func (s *Server) historyPull(ctx context.Context, req historyRequest) ([]byte, error) {
	if err := s.pace.yield(ctx); err != nil {
		return nil, err
	}
	data, next, err := s.store.Export(ctx, req.Window, req.After)
	if err != nil {
		return nil, err
	}
	if req.Packed { // a node of an older version asks for it plain
		data = history.Pack(data)
	}
	return append([]byte(next+"\n"), data...), nil
}

func (s *Server) historyPush(ctx context.Context, body []byte) ([]byte, error) {
	if err := s.pace.yield(ctx); err != nil {
		return nil, err
	}
	added, err := s.store.Import(ctx, body)
	return answer(added, err)
}
