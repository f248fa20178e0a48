package parquet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// checkPages holds the headers of a row group's pages against the limits before anything is decoded: the decoder takes
// them at their word, and a few bytes can ask for gigabytes.
func (r *Reader) checkPages(group int) error {
	columns := r.file.Metadata().RowGroups[group].Columns
	if len(columns) != len(r.columns) {
		return fmt.Errorf("it has %d columns, the file %d", len(columns), len(r.columns))
	}
	for i := range columns {
		if err := r.checkColumn(&columns[i].MetaData); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *Reader) checkColumn(c *format.ColumnMetaData) error {
	from, size := c.DataPageOffset, c.TotalCompressedSize
	if c.DictionaryPageOffset != 0 {
		from = c.DictionaryPageOffset
	}
	if from < 0 || size < 0 || from > r.file.Size()-size {
		return errors.New("it lies outside of the file")
	}
	in := bufio.NewReaderSize(io.NewSectionReader(r.file, from, size), maxPageHeader)
	for {
		head, _ := in.Peek(maxPageHeader)
		if len(head) == 0 {
			return nil // the end; what is missing is found by the decoder
		}
		n, err := walk(head)
		if err != nil {
			return fmt.Errorf("the header of a page: %w", notEnd(err))
		}
		var h format.PageHeader
		if err := thrift.Unmarshal(&thrift.CompactProtocol{}, head[:n], &h); err != nil {
			return fmt.Errorf("the header of a page: %w", notEnd(err))
		}
		_, _ = in.Discard(n) // it is in the buffer
		if n := max(h.UncompressedPageSize, h.CompressedPageSize); n > maxPageBytes || h.CompressedPageSize < 0 {
			return fmt.Errorf("a page of %d bytes, the limit is %d", n, maxPageBytes)
		}
		if n := max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues); n > maxPageValues {
			return fmt.Errorf("a page of %d values, the limit is %d", n, maxPageValues)
		}
		r.body = slices.Grow(r.body[:0], int(h.CompressedPageSize))[:h.CompressedPageSize]
		if _, err := io.ReadFull(in, r.body); err != nil {
			return fmt.Errorf("a page: %w", notEnd(err))
		}
		packed := r.body
		if v2 := h.DataPageHeaderV2; v2.Valid { // its levels stand before what is packed
			levels := int(v2.V.DefinitionLevelsByteLength) + int(v2.V.RepetitionLevelsByteLength)
			if levels < 0 || levels > len(packed) || v2.V.IsCompressed.Valid && !v2.V.IsCompressed.V {
				continue // the decoder says what is wrong with it, if anything is
			}
			packed = packed[levels:]
		}
		if err := r.checkPacked(c.Codec, packed); err != nil {
			return err
		}
	}
}

// checkPacked sees to it that what is packed is not larger than a page may be, whatever the header says.
func (r *Reader) checkPacked(codec format.CompressionCodec, packed []byte) error {
	n, err := 0, error(nil)
	switch codec {
	case format.Uncompressed:
		return nil
	case format.Snappy:
		n, err = snappy.DecodedLen(packed)
	case format.Gzip:
		n, err = r.countGzip(packed)
	case format.Zstd:
		n, err = r.countZstd(packed)
	default:
		return fmt.Errorf("it is compressed by %s: want snappy, gzip, zstd or nothing", codec)
	}
	if err == nil && n > maxPageBytes {
		err = fmt.Errorf("a page has more than %d bytes", maxPageBytes)
	}
	if err != nil {
		return fmt.Errorf("unpacking a page: %w", notEnd(err))
	}
	return nil
}

func (r *Reader) countGzip(packed []byte) (int, error) {
	in, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(in, maxPageBytes+1))
	return int(n), err
}

func (r *Reader) countZstd(packed []byte) (int, error) {
	if r.zstd == nil {
		var err error
		if r.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxPageBytes), zstd.WithDecoderMaxWindow(maxPageBytes)); err != nil {
			return 0, err
		}
	}
	if err := r.zstd.Reset(bytes.NewReader(packed)); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.zstd, maxPageBytes+1))
	return int(n), err
}

// checkFooter holds the metadata at the end of the file against the limits.
func checkFooter(in io.ReaderAt, size int64) error {
	const tail = 8 // the length and the magic
	var end [tail]byte
	if size < tail+int64(len(Magic)) {
		return errors.New("it is too short")
	}
	if _, err := in.ReadAt(end[:], size-tail); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if string(end[4:]) != Magic || n > size-tail-int64(len(Magic)) {
		return errors.New("it has no end as a Parquet file has")
	}
	if n > maxFooter {
		return fmt.Errorf("%d bytes of metadata, the limit is %d", n, maxFooter)
	}
	footer := make([]byte, n)
	if _, err := in.ReadAt(footer, size-tail-n); err != nil {
		return err
	}
	if _, err := walk(footer); err != nil {
		return fmt.Errorf("its metadata: %w", notEnd(err))
	}
	return nil
}
