/* A Modbus TCP server on libmodbus, whose addresses say how it shall behave:
 *   0..999       values: coil a = a%3==0, discrete a = a%5==0, input a = a+1000, holding a = a*7+3
 *   4000x        exception x to reads and writes of holding registers
 *   41000        the answer byte by byte
 *   42000        the answer 700 ms late
 *   43000        one register fewer than asked for
 *   44000        another transaction id
 * It serves one connection after the other until it is killed. */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SPACE 50000

static int exception_of(int function, int address) {
    if (function != 3 && function != 6 && function != 16) return 0;
    return address > 40000 && address < 40012 ? address - 40000 : 0;
}

/* answers a read of holding registers without libmodbus, so that the answer can be wrong */
static void odd_answer(int fd, const uint8_t *query, int address, int count, modbus_mapping_t *map) {
    uint8_t out[260];
    int n = address == 43000 ? count - 1 : count, i, length = 9 + 2 * n;
    out[0] = query[0];
    out[1] = address == 44000 ? query[1] ^ 0x55 : query[1];
    out[2] = out[3] = out[4] = 0;
    out[5] = 3 + 2 * n;
    out[6] = query[6];
    out[7] = 3;
    out[8] = 2 * n;
    for (i = 0; i < n; i++) {
        out[9 + 2 * i] = map->tab_registers[address + i] >> 8;
        out[10 + 2 * i] = map->tab_registers[address + i] & 0xFF;
    }
    if (address == 42000) usleep(700 * 1000);
    if (address != 41000) {
        if (write(fd, out, length) != length) perror("write");
        return;
    }
    for (i = 0; i < length; i++) {
        if (write(fd, out + i, 1) != 1) return;
        usleep(3000);
    }
}

static void serve(modbus_t *ctx, modbus_mapping_t *map) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int n;
    while ((n = modbus_receive(ctx, query)) >= 0) {
        if (n == 0) continue;
        int function = query[7], address = query[8] << 8 | query[9], count = query[10] << 8 | query[11];
        int code = exception_of(function, address);
        if (code) {
            modbus_reply_exception(ctx, query, code);
        } else if (function == 3 && address >= 41000 && address <= 44000 && address % 1000 == 0) {
            odd_answer(modbus_get_socket(ctx), query, address, count, map);
        } else {
            modbus_reply(ctx, query, n, map);
        }
    }
}

int main(int argc, char **argv) {
    int a, s;
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", argc > 1 ? atoi(argv[1]) : 1502);
    modbus_mapping_t *map = modbus_mapping_new(SPACE, SPACE, SPACE, SPACE);
    if (!ctx || !map) return 1;
    for (a = 0; a < SPACE; a++) {
        map->tab_bits[a] = a % 3 == 0;
        map->tab_input_bits[a] = a % 5 == 0;
        map->tab_input_registers[a] = a + 1000;
        map->tab_registers[a] = a * 7 + 3;
    }
    if ((s = modbus_tcp_listen(ctx, 4)) < 0) {
        perror("listen");
        return 1;
    }
    puts("listening");
    fflush(stdout);
    for (;;) {
        if (modbus_tcp_accept(ctx, &s) < 0) return 1;
        serve(ctx, map);
        modbus_close(ctx);
    }
}
