// Reads 125 holding registers at a time through modbus-serial for some seconds, with some requests in flight, and prints
// what it did as JSON. Arguments: address, port, seconds, requests in flight.
import ModbusRTU from "modbus-serial";

const [address, port, seconds, flight] = process.argv.slice(2);
const client = new ModbusRTU();
await client.connectTCP(address, { port: Number(port) });
client.setID(1);
client.setTimeout(5000);
let requests = 0, wrong = 0, next = 0;
const from = process.hrtime.bigint(), used = process.cpuUsage();
const end = from + BigInt(Math.round(seconds * 1e9));
async function lane() {
  while (process.hrtime.bigint() < end) {
    const a = (next++ % 300) * 125;
    const { data } = await client.readHoldingRegisters(a, 125);
    if (data[0] !== ((a * 7 + 3) & 0xffff) || data[124] !== (((a + 124) * 7 + 3) & 0xffff)) wrong++;
    requests++;
  }
}
await Promise.all(Array.from({ length: Number(flight) }, lane));
const cpu = process.cpuUsage(used);
console.log(JSON.stringify({ requests, seconds: Number(process.hrtime.bigint() - from) / 1e9, cpu: (cpu.user + cpu.system) / 1e6, wrong }));
process.exit(0);
