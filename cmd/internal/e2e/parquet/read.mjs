// Writes the rows of a Parquet file as lines of JSON, and its metadata on the last one.
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";

const file = await asyncBufferFromFile(process.argv[2]);
const parsers = { timestampFromNanoseconds: (ns) => `${ns}` }; // a Date has milliseconds
for (const row of await parquetReadObjects({ file, compressors, parsers })) console.log(JSON.stringify(row));
const { key_value_metadata } = await parquetMetadataAsync(file);
console.log(JSON.stringify(Object.fromEntries(key_value_metadata.map(({ key, value }) => [key, value]))));
