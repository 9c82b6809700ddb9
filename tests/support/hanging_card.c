/* A card that does not answer: while the file named by HANGING_CARD exists, fsync and fdatasync wait, and so does every
 * call that names a file, unless it lies in the kernel's own file systems, in /run, or below SPARED_FOLDER, which stands
 * for it. /run lies in memory: systemd mounts a tmpfs there before anything else, on Debian and Raspberry Pi OS as well
 * (file-hierarchy(7); src/shared/mount-setup.c has it in its table).
 * A name that is asked for may have to be read from the card, and a file that is opened may write when it was read. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int hangs(void)
{
    const char *flag = getenv("HANGING_CARD");
    return flag && syscall(SYS_faccessat, AT_FDCWD, flag, F_OK) == 0;
}

static int is_below(const char *path, const char *folder)
{
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static void wait_for_the_card(void)
{
    while (hangs())
        usleep(20000);
}

static void wait_for_file(const char *path)
{
    if (!path || path[0] != '/' || is_below(path, "/proc/") || is_below(path, "/sys/") || is_below(path, "/dev/") || is_below(path, "/run/"))
        return;
    if (!is_below(path, getenv("SPARED_FOLDER")))
        wait_for_the_card();
}

#define DESCRIPTOR_CALL(name)                                            \
    int name(int descriptor)                                             \
    {                                                                    \
        int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, #name);        \
        wait_for_the_card();                                             \
        return real(descriptor);                                         \
    }

#define PATH_CALL(type, name, path, parameters, arguments)               \
    type name parameters                                                 \
    {                                                                    \
        type (*real) parameters = (type (*) parameters)dlsym(RTLD_NEXT, #name); \
        wait_for_file(path);                                             \
        return real arguments;                                           \
    }

DESCRIPTOR_CALL(fsync)
DESCRIPTOR_CALL(fdatasync)
PATH_CALL(int, stat64, path, (const char *path, void *found), (path, found))
PATH_CALL(int, lstat64, path, (const char *path, void *found), (path, found))
PATH_CALL(int, fstatat64, path, (int folder, const char *path, void *found, int flags), (folder, path, found, flags))
PATH_CALL(int, access, path, (const char *path, int mode), (path, mode))
PATH_CALL(int, unlink, path, (const char *path), (path))
PATH_CALL(int, mkdir, path, (const char *path, unsigned mode), (path, mode))
PATH_CALL(int, rename, path, (const char *path, const char *wanted), (path, wanted))
PATH_CALL(void *, opendir, path, (const char *path), (path))
PATH_CALL(void *, fopen64, path, (const char *path, const char *mode), (path, mode))

/* A machine with a time server, whose clock is believed. Source: adjtimex(2), TIME_OK. */
int adjtimex(void *state)
{
    (void)state;
    return 0;
}

static int mode_of(int flags, va_list rest)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
}

int open64(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    va_list rest;
    va_start(rest, flags);
    int mode = mode_of(flags, rest);
    va_end(rest);
    wait_for_file(path);
    return real(path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat64");
    va_list rest;
    va_start(rest, flags);
    int mode = mode_of(flags, rest);
    va_end(rest);
    wait_for_file(path);
    return real(folder, path, flags, mode);
}
