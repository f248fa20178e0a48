package block

import "math/bits"

// predictor guesses the next integer from those before: a running mean that moves by 1/2^k of each error. With k = 0
// it is the integer before. The arithmetic wraps, so encoder and decoder agree on any input.
type predictor struct {
	k   uint
	acc int64
}

// maxSmooth is the largest k. A signal that is mostly noise is guessed best from some ten values before.
const maxSmooth = 6

func newPredictor(k uint, first int64) predictor { return predictor{k, first << k} }

func (p *predictor) guess() int64 { return (p.acc + 1<<p.k>>1) >> p.k }

func (p *predictor) learn(v int64) { p.acc += v - p.acc>>p.k }

// errorsOf appends the zigzag of what the predictor gets wrong, from the second integer on.
func errorsOf(dst []uint64, v []int64, k uint) []uint64 {
	p := newPredictor(k, v[0])
	for _, x := range v[1:] {
		e := x - p.guess()
		dst = append(dst, uint64(e)<<1^uint64(e>>63))
		p.learn(x)
	}
	return dst
}

// bestErrors returns the errors of the predictor that makes the fewest bits, and its k.
func bestErrors(v []int64) ([]uint64, uint) {
	var best []uint64
	var k, least uint
	for n := range uint(maxSmooth + 1) {
		e := errorsOf(make([]uint64, 0, len(v)), v, n)
		size := uint(0)
		for _, z := range e {
			size += quarters(z)
		}
		if n == 0 || size < least {
			best, k, least = e, n, size
		}
	}
	return best, k
}

// quarters is about four times the logarithm of z to base 2: whole bits alone are too coarse to compare predictors.
func quarters(z uint64) uint {
	n := uint(bits.Len64(z))
	if n < 3 {
		return 4 * n
	}
	return 4*n + uint(z>>(n-3)&3)
}
