package lease

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// The sizes of what is in the cells, in bytes. All numbers are big-endian.
const (
	// BlockSize: epoch (4), counter (4), node (2), CRC-32 of these (4).
	BlockSize = 14
	// NonceSize: the mark (4).
	NonceSize = 4
	// CellSize is what one node owns: its block, then its mark.
	CellSize = BlockSize + NonceSize
)

// ErrTorn says that bytes are not a block that was written as a whole.
var ErrTorn = errors.New("not a whole block")

// Block is what a node says of itself in the cells. The zero block stands for cells never written.
type Block struct {
	// Epoch numbers the leases: odd on one node, even on the other.
	Epoch uint32
	// Counter is another one in each write.
	Counter uint32
	// Node is 1 for the first node and 2 for the second.
	Node uint16
}

// Append appends the block's bytes.
func (b Block) Append(dst []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, b.Epoch)
	dst = binary.BigEndian.AppendUint32(dst, b.Counter)
	dst = binary.BigEndian.AppendUint16(dst, b.Node)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[at:]))
}

// ParseBlock reads a block. Bytes that are all zero are the zero block.
func ParseBlock(src []byte) (Block, error) {
	if len(src) != BlockSize {
		return Block{}, ErrTorn
	}
	b := Block{Epoch: binary.BigEndian.Uint32(src), Counter: binary.BigEndian.Uint32(src[4:]), Node: binary.BigEndian.Uint16(src[8:])}
	sum := binary.BigEndian.Uint32(src[10:])
	switch {
	case b == Block{} && sum == 0:
		return b, nil
	case sum != crc32.ChecksumIEEE(src[:10]) || b.Node != 1 && b.Node != 2 || b.Epoch == 0:
		return Block{}, ErrTorn
	case (b.Node == 1) != (b.Epoch%2 == 1):
		return Block{}, ErrTorn // an epoch of the other node's parity
	}
	return b, nil
}

// AppendNonce appends a mark's bytes.
func AppendNonce(dst []byte, nonce uint32) []byte { return binary.BigEndian.AppendUint32(dst, nonce) }

// ParseNonce reads a mark; bytes that are none are 0, which marks nothing.
func ParseNonce(src []byte) uint32 {
	if len(src) != NonceSize {
		return 0
	}
	return binary.BigEndian.Uint32(src)
}

// ParseCells reads the cells of both nodes, one after the other, as the node with the index sees them.
func ParseCells(index int, src []byte) (Picture, error) {
	if len(src) != 2*CellSize || index != 0 && index != 1 {
		return Picture{}, ErrTorn
	}
	own, peer := src[index*CellSize:][:CellSize], src[(1-index)*CellSize:][:CellSize]
	var p Picture
	var err error
	p.Own, err = owned(own, index)
	p.OwnTorn = err != nil
	p.Peer, err = owned(peer, 1-index)
	p.PeerTorn = err != nil
	p.Nonce = ParseNonce(own[BlockSize:])
	return p, nil
}

// owned reads the block of the node with the index: another node's in its place is a mistake in the configuration, and
// must not count.
func owned(cell []byte, index int) (Block, error) {
	b, err := ParseBlock(cell[:BlockSize])
	if err == nil && b.Epoch != 0 && int(b.Node) != index+1 {
		return Block{}, ErrTorn
	}
	return b, err
}
