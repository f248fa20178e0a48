package schedule

// heap holds the waiting jobs, the one to wake first on top.
type heap[T any] struct{ jobs []*Job[T] }

func (h *heap[T]) top() *Job[T] {
	if len(h.jobs) == 0 {
		return nil
	}
	return h.jobs[0]
}

func (h *heap[T]) push(j *Job[T]) {
	j.index = len(h.jobs)
	h.jobs = append(h.jobs, j)
	h.up(j.index)
}

func (h *heap[T]) remove(j *Job[T]) {
	i, last := j.index, len(h.jobs)-1
	h.swap(i, last)
	h.jobs[last] = nil
	h.jobs = h.jobs[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h *heap[T]) less(a, b int) bool {
	x, y := h.jobs[a], h.jobs[b]
	return x.wake < y.wake || x.wake == y.wake && x.deadline() < y.deadline()
}

func (h *heap[T]) swap(a, b int) {
	h.jobs[a], h.jobs[b] = h.jobs[b], h.jobs[a]
	h.jobs[a].index, h.jobs[b].index = a, b
}

func (h *heap[T]) up(i int) {
	for i > 0 && h.less(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *heap[T]) down(i int) {
	for {
		c := 2*i + 1
		if c+1 < len(h.jobs) && h.less(c+1, c) {
			c++
		}
		if c >= len(h.jobs) || !h.less(c, i) {
			return
		}
		h.swap(i, c)
		i = c
	}
}
