/* Preloaded: CLOCK_REALTIME jumps by the seconds that stand in the file $EVSE_TEST_WALL_CLOCK, at once when it changes.
   CLOCK_MONOTONIC and everything else is the kernel's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long long *jump_s;

__attribute__((constructor)) static void open_jump(void) {
    const char *path = getenv("EVSE_TEST_WALL_CLOCK");
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof *jump_s, PROT_READ, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) jump_s = page;
    }
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, at);
    if (!result && jump_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += *jump_s;
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
