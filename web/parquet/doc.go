// Package parquet writes recorded samples as a Parquet file and reads such files, also those other programs made.
//
// A row is a sample. The columns are those of the CSV export, and one more:
//
//	tag      string, in a dictionary
//	time     INT64, TIMESTAMP(NANOS, UTC), delta encoded: samples have nanoseconds, and a file that rounds them would not
//	         be recognised as what the archive has already when it is imported again
//	value    DOUBLE or null: every number, and 0 and 1 for booleans, so that one column can be averaged and drawn
//	         whatever the types of the tags are
//	text     string or null: texts, and the digits of whole numbers a DOUBLE rounds (beyond 2^53)
//	quality  string, the OPC UA name, in a dictionary
//
// A gap is a row without value and text of quality Bad_NoData where it begins. Units are in the key-value metadata
// "scada.units", a JSON object of tag and unit. Pages are compressed with zstd.
package parquet
