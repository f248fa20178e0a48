package channel

import (
	"encoding/binary"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"
	"github.com/gopcua/opcua/uasc"
)

const (
	headerBytes      = 16  // clear part of a chunk: type, size, channel id, token id
	sequenceBytes    = 8   // sequence number and request id
	maxChunkOverhead = 256 // header, sequence header, padding and signature of a symmetric chunk are below this
	lastSequence     = 4294966271
	longKeyBytes     = 256 // with longer RSA keys the padding's size takes two bytes
)

// token is one set of keys of a channel.
type token struct {
	id      uint32
	mode    ua.MessageSecurityMode
	algo    *uapolicy.EncryptionAlgorithm
	expires time.Time // with the grace
	seqIn   uint32    // last sequence number that came with them; 0: none
}

// room is how much of a body goes into one chunk of the given size.
func (t *token) room(chunk int) int {
	room := chunk - headerBytes
	switch t.mode {
	case ua.MessageSecurityModeSignAndEncrypt:
		room = room/t.algo.BlockSize()*t.algo.PlaintextBlockSize() - t.algo.SignatureLength() - 1
	case ua.MessageSecurityModeSign:
		room -= t.algo.SignatureLength()
	}
	return room - sequenceBytes
}

// seal appends one chunk to dst.
func (t *token) seal(dst []byte, kind string, chunk byte, channel, seq, request uint32, body []byte) ([]byte, error) {
	start := len(dst)
	dst = append(append(dst, kind...), chunk)
	dst = append(dst, 0, 0, 0, 0)
	for _, v := range [...]uint32{channel, t.id, seq, request} {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	dst = append(dst, body...)
	if t.mode == ua.MessageSecurityModeNone {
		binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(dst)-start))
		return dst, nil
	}
	encrypt := t.mode == ua.MessageSecurityModeSignAndEncrypt
	if encrypt {
		dst = pad(dst, len(dst)-start-headerBytes, t.algo.SignatureLength(), t.algo.PlaintextBlockSize(), false)
	}
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(dst)-start+t.algo.SignatureLength()))
	return finish(dst, start, headerBytes, t.algo, encrypt)
}

// pad appends padding and its size, so that n bytes of content, padding and signature fill whole blocks.
func pad(dst []byte, n, signature, block int, long bool) []byte {
	sizes := 1
	if long {
		sizes = 2
	}
	size := (block - (n+sizes+signature)%block) % block
	for range size + 1 {
		dst = append(dst, byte(size))
	}
	if long {
		dst = append(dst, byte(size>>8))
	}
	return dst
}

// finish signs the message that begins at start and encrypts what follows its header.
func finish(dst []byte, start, header int, algo *uapolicy.EncryptionAlgorithm, encrypt bool) ([]byte, error) {
	signature, err := algo.Signature(dst[start:])
	if err != nil {
		return dst, err
	}
	dst = append(dst, signature...)
	if !encrypt {
		return dst, nil
	}
	sealed, err := algo.Encrypt(dst[start+header:])
	if err != nil {
		return dst, err
	}
	return append(dst[:start+header], sealed...), nil
}

// asymmetric seals answers to OpenSecureChannel.
type asymmetric struct {
	header *uasc.AsymmetricSecurityHeader
	algo   *uapolicy.EncryptionAlgorithm // nil with policy None
}

// seal appends the message to dst. It is always signed and encrypted, whatever the mode of the channel.
func (a *asymmetric) seal(dst []byte, channel, seq, request uint32, body []byte) ([]byte, error) {
	clear, err := a.header.Encode()
	if err != nil {
		return dst, err
	}
	start, header := len(dst), 12+len(clear)
	dst = append(dst, uasc.MessageTypeOpenSecureChannel...)
	dst = append(dst, uasc.ChunkTypeFinal, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, channel)
	dst = append(dst, clear...)
	dst = binary.LittleEndian.AppendUint32(dst, seq)
	dst = binary.LittleEndian.AppendUint32(dst, request)
	dst = append(dst, body...)
	if a.algo == nil {
		binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(dst)-start))
		return dst, nil
	}
	sig, plain := a.algo.SignatureLength(), a.algo.PlaintextBlockSize()
	dst = pad(dst, len(dst)-start-header, sig, plain, a.algo.RemoteSignatureLength() > longKeyBytes)
	content := len(dst) - start - header + sig
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(header+content/plain*a.algo.BlockSize()))
	return finish(dst, start, header, a.algo, true)
}

// unseal checks and opens a chunk, and returns the keys it came with and its content from the sequence header on.
func (c *Conn) unseal(f frame) (*token, []byte, error) {
	if len(f) < headerBytes+sequenceBytes {
		return nil, nil, fail(ua.StatusBadDecodingError, "a chunk of %d bytes", len(f))
	}
	if channel := binary.LittleEndian.Uint32(f[8:]); channel != c.id {
		return nil, nil, fail(ua.StatusBadTCPSecureChannelUnknown, "channel %d", channel)
	}
	t, err := c.token(binary.LittleEndian.Uint32(f[12:]))
	if err != nil {
		return nil, nil, err
	}
	plain := []byte(f[headerBytes:])
	if t.mode != ua.MessageSecurityModeNone {
		if plain, err = unsealWith(t.algo, f, headerBytes, t.mode == ua.MessageSecurityModeSignAndEncrypt, false); err != nil {
			return nil, nil, err
		}
	}
	if t.id > c.sending.Load().id {
		c.sending.Store(t) // the client has the new keys: from now on they may be used towards it
	}
	return t, plain, nil
}

// token finds the keys a chunk names. The old ones are taken until they expire: what was under way when they were
// renewed may come after the first chunk with the new ones.
func (c *Conn) token(id uint32) (*token, error) {
	for _, t := range c.tokens {
		if t.id == id && time.Now().Before(t.expires) {
			return t, nil
		}
	}
	return nil, fail(ua.StatusBadSecureChannelTokenUnknown, "token %d", id)
}

// unsealWith decrypts what follows the header, checks the signature over all, and returns the content without padding.
func unsealWith(algo *uapolicy.EncryptionAlgorithm, f frame, header int, encrypted, long bool) ([]byte, error) {
	b := []byte(f)
	if encrypted {
		plain, err := algo.Decrypt(b[header:])
		if err != nil {
			return nil, fail(ua.StatusBadSecurityChecksFailed, "decrypt: %v", err)
		}
		b = append(b[:header:header], plain...)
	}
	end := len(b) - algo.RemoteSignatureLength()
	if end < header+sequenceBytes+1 {
		return nil, fail(ua.StatusBadSecurityChecksFailed, "no room for a signature")
	}
	if err := algo.VerifySignature(b[:end], b[end:]); err != nil {
		return nil, fail(ua.StatusBadSecurityChecksFailed, "signature: %v", err)
	}
	if !encrypted {
		return b[header:end], nil
	}
	padding := int(b[end-1]) + 1
	if long {
		padding = int(b[end-1])<<8 + int(b[end-2]) + 2
	}
	if end-padding < header+sequenceBytes {
		return nil, fail(ua.StatusBadSecurityChecksFailed, "%d bytes of padding", padding)
	}
	return b[header : end-padding], nil
}
