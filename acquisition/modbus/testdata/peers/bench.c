/* Reads 125 holding registers at a time through libmodbus for some seconds, one request in flight, and prints what it
 * did as JSON. Arguments: address, port, seconds. */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    uint16_t r[125];
    long n = 0, wrong = 0;
    if (argc < 4) return 2;
    double length = atof(argv[3]);
    modbus_t *ctx = modbus_new_tcp(argv[1], atoi(argv[2]));
    modbus_set_slave(ctx, 1);
    if (modbus_connect(ctx) != 0) {
        perror("connect");
        return 1;
    }
    double from = now(), used = cpu(), at;
    while ((at = now()) - from < length) {
        int a = n % 300 * 125;
        if (modbus_read_registers(ctx, a, 125, r) != 125) {
            fprintf(stderr, "%s\n", modbus_strerror(errno));
            return 1;
        }
        wrong += r[0] != (uint16_t)(a * 7 + 3) || r[124] != (uint16_t)((a + 124) * 7 + 3);
        n++;
    }
    printf("{\"requests\":%ld,\"seconds\":%f,\"cpu\":%f,\"wrong\":%ld}\n", n, at - from, cpu() - used, wrong);
    return 0;
}
