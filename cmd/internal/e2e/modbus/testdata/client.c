/* A Modbus TCP client on libmodbus. It uses every function against a controller whose holding registers are a*7+3, input
 * registers a+1000, coils a%3==0, discrete inputs a%5==0, prints one line for each, and exits with the number of failures.
 * The arguments are the port and what to do: all, busy, drip, late. */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;

static void check(const char *what, int ok) {
    printf("%s %s%s%s\n", ok ? "ok" : "FAILED", what, ok ? "" : ": ", ok ? "" : modbus_strerror(errno));
    failures += !ok;
}

static int raises(int result, int code) { return result == -1 && errno == code; }

static int holds(const uint16_t *r, int from, int n) {
    for (int i = 0; i < n; i++)
        if (r[i] != (uint16_t)((from + i) * 7 + 3)) return 0;
    return 1;
}

static void reads(modbus_t *ctx) {
    uint8_t bits[2000];
    uint16_t regs[125];
    int i, ok = modbus_read_bits(ctx, 0, 2000, bits) == 2000;
    for (i = 0; i < 2000 && ok; i++) ok = bits[i] == (i % 3 == 0);
    check("function 1", ok);
    ok = modbus_read_input_bits(ctx, 3, 77, bits) == 77;
    for (i = 0; i < 77 && ok; i++) ok = bits[i] == ((i + 3) % 5 == 0);
    check("function 2", ok);
    check("function 3", modbus_read_registers(ctx, 100, 125, regs) == 125 && holds(regs, 100, 125));
    ok = modbus_read_input_registers(ctx, 10, 20, regs) == 20;
    for (i = 0; i < 20 && ok; i++) ok = regs[i] == 1010 + i;
    check("function 4", ok);
}

static void writes(modbus_t *ctx) {
    uint8_t bits[16] = {1, 0, 1, 1, 0, 1, 0, 0, 1, 1}, back[16];
    uint16_t regs[123], got[123];
    int i;
    for (i = 0; i < 123; i++) regs[i] = 60000 - i;
    check("function 5", modbus_write_bit(ctx, 3001, 1) == 1 && modbus_read_bits(ctx, 3001, 1, back) == 1 && back[0] == 1);
    check("function 6", modbus_write_register(ctx, 3001, 4711) == 1 && modbus_read_registers(ctx, 3001, 1, got) == 1 && got[0] == 4711);
    check("function 15", modbus_write_bits(ctx, 3100, 10, bits) == 10 && modbus_read_bits(ctx, 3100, 10, back) == 10 && !memcmp(bits, back, 10));
    check("function 16", modbus_write_registers(ctx, 3100, 123, regs) == 123 && modbus_read_registers(ctx, 3100, 123, got) == 123 && !memcmp(regs, got, sizeof regs));
    check("function 22", modbus_write_register(ctx, 3300, 0x12) == 1 && modbus_mask_write_register(ctx, 3300, 0xF2, 0x25) != -1 &&
                             modbus_read_registers(ctx, 3300, 1, got) == 1 && got[0] == 0x17);
    check("function 23", modbus_write_and_read_registers(ctx, 3400, 2, regs, 100, 5, got) == 5 && holds(got, 100, 5) &&
                             modbus_read_registers(ctx, 3400, 2, got) == 2 && !memcmp(regs, got, 4));
}

static void exceptions(modbus_t *ctx) {
    uint16_t got[125];
    uint8_t answer[MODBUS_TCP_MAX_ADU_LENGTH], unknown[] = {1, 0x41, 0, 0, 0, 1}, many[] = {1, 3, 0, 0, 0, 126}, none[] = {1, 3, 0, 0, 0, 0};
    check("exception 2 at the end", raises(modbus_read_registers(ctx, 9999, 2, got), EMBXILADD));
    check("exception 1", modbus_send_raw_request(ctx, unknown, sizeof unknown) != -1 && raises(modbus_receive_confirmation(ctx, answer) < 0 ? -1 : (errno = answer[8] == 1 && answer[7] == 0xC1 ? EMBXILFUN : 0, -1), EMBXILFUN));
    check("exception 3, too many", modbus_send_raw_request(ctx, many, sizeof many) != -1 && modbus_receive_confirmation(ctx, answer) == 9 && answer[7] == 0x83 && answer[8] == 3);
    check("exception 3, none", modbus_send_raw_request(ctx, none, sizeof none) != -1 && modbus_receive_confirmation(ctx, answer) == 9 && answer[7] == 0x83 && answer[8] == 3);
    check("good after exceptions", modbus_read_registers(ctx, 5, 5, got) == 5 && holds(got, 5, 5));
}

int main(int argc, char **argv) {
    const char *what = argc > 2 ? argv[2] : "all";
    uint16_t got[125];
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    modbus_set_slave(ctx, 1);
    modbus_set_response_timeout(ctx, 0, 300000);
    if (modbus_connect(ctx) != 0) {
        perror("connect");
        return 100;
    }
    if (!strcmp(what, "all")) {
        reads(ctx);
        writes(ctx);
        exceptions(ctx);
    } else if (!strcmp(what, "busy")) {
        check("exception 6", raises(modbus_read_registers(ctx, 0, 1, got), EMBXSBUSY));
        check("good after busy", modbus_read_registers(ctx, 5, 5, got) == 5 && holds(got, 5, 5));
    } else if (!strcmp(what, "drip")) {
        check("byte by byte", modbus_read_registers(ctx, 5, 5, got) == 5 && holds(got, 5, 5));
    } else {
        check("late", raises(modbus_read_registers(ctx, 5, 5, got), ETIMEDOUT));
        usleep(500 * 1000);
        modbus_flush(ctx);
        check("good after late", modbus_read_registers(ctx, 7, 5, got) == 5 && holds(got, 7, 5));
    }
    modbus_close(ctx);
    modbus_free(ctx);
    return failures;
}
