"""A Modbus TCP server on pymodbus with the values of server.c; addresses 40001 to 40011 raise that exception."""
import asyncio
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.pdu import ExceptionResponse
from pymodbus import register_read_message
from pymodbus.server import StartAsyncTcpServer

SPACE = 50000


def raising(cls):
    """Has a request answered with the exception its address names."""
    execute = cls.execute

    def patched(self, context):
        if 40000 < self.address < 40012:
            return ExceptionResponse(self.function_code, self.address - 40000)
        return execute(self, context)

    cls.execute = patched


async def main():
    raising(register_read_message.ReadHoldingRegistersRequest)
    unit = ModbusSlaveContext(
        co=ModbusSequentialDataBlock(0, [a % 3 == 0 for a in range(SPACE)]),
        di=ModbusSequentialDataBlock(0, [a % 5 == 0 for a in range(SPACE)]),
        ir=ModbusSequentialDataBlock(0, [(a + 1000) & 0xFFFF for a in range(SPACE)]),
        hr=ModbusSequentialDataBlock(0, [(a * 7 + 3) & 0xFFFF for a in range(SPACE)]),
        zero_mode=True,
    )
    identity = ModbusDeviceIdentification(info_name={"VendorName": "Other", "ProductCode": "PM", "MajorMinorRevision": "3.0"})
    server = StartAsyncTcpServer(ModbusServerContext(slaves=unit, single=True), identity=identity, address=("127.0.0.1", int(sys.argv[1])))
    task = asyncio.ensure_future(server)
    print("starting", flush=True)
    await task


asyncio.run(main())
