/* A card that does not answer: fsync and fdatasync wait while the file named by HANGING_CARD exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_the_card(void)
{
    const char *flag = getenv("HANGING_CARD");
    while (flag && access(flag, F_OK) == 0)
        usleep(20000);
}

int fsync(int descriptor)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for_the_card();
    return real(descriptor);
}

int fdatasync(int descriptor)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_the_card();
    return real(descriptor);
}
