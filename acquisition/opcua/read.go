package opcua

import (
	"context"
	"sync"
)

// readWindow is how many Reads are on their way at a time: while one is decoded here, the server works on the next.
const readWindow = 3

// readItems reads the given tags and publishes what came, batch by batch.
func (s *Source) readItems(ctx context.Context, c *channel, indexes []int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q := &queue{rest: indexes}
	var wg sync.WaitGroup
	for range min(readWindow, (len(indexes)+readBatch-1)/readBatch) {
		wg.Go(func() {
			for part := q.next(s.most(readBatch)); len(part) > 0 && ctx.Err() == nil; part = q.next(s.most(readBatch)) {
				batch, err := s.readPart(ctx, c, part)
				switch {
				case s.tooMany(len(part), err):
					q.back(part)
				case err != nil:
					cancel(err)
				default:
					s.publish(batch)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// queue is what is still to be read.
type queue struct {
	mu   sync.Mutex
	rest []int
}

func (q *queue) next(most int) []int {
	q.mu.Lock()
	defer q.mu.Unlock()
	part := q.rest[:min(len(q.rest), most)]
	q.rest = q.rest[len(part):]
	return part
}

func (q *queue) back(part []int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rest = append(part[:len(part):len(part)], q.rest...)
}
