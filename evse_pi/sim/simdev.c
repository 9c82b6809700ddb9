/* Serves device nodes from a simulator process to the unmodified libraries of this process (LD_PRELOAD).
 *
 *   EVSE_SIM_SOCKET    SOCK_SEQPACKET socket of the simulator
 *   EVSE_SIM_ROOT      folder that stands in for / under the redirected prefixes
 *   EVSE_SIM_REDIRECT  prefixes, separated by ':', that are looked up below EVSE_SIM_ROOT
 *   EVSE_SIM_NODES     prefixes, separated by ':', whose open() becomes a connection to the simulator
 *
 * An opened node is a socket. ioctl, read and write on it become one request and one answer. A GPIO line is two
 * sockets: the program holds the one on which edge events arrive (so poll and read work natively) and requests go
 * over a hidden second one. The end of a process, however it comes, is an end of file at the simulator.
 * A node may also be answered with a descriptor of its own (a pty), which the program then uses natively.
 *
 * dup() of a node is not followed: none of the libraries does it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <linux/spi/spidev.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TRACKED 1024          /* descriptors that can be nodes; higher ones are refused with EMFILE */
#define LARGEST 65536         /* bytes of one request or answer */
#define GPIOCHIP "/dev/gpiochip"
#define GPIO_MAJOR 254        /* as in devices/tree.py */
#define WORTH_SLEEPING 100000 /* ns; a shorter transfer ends while its request is on the way */

enum operation { OPEN = 1, IOCTL = 2, READ = 3, WRITE = 4, SPI = 5, RELEASE = 6 };
enum kind { FOREIGN = 0, NODE = 1, LINE = 2 };

struct request { uint32_t op, id; uint64_t a, b; };
struct answer { int64_t result; uint32_t error, id; };
/* One SPI transfer without the pointers, as the simulator reads it. */
struct transfer { uint32_t len, hz; uint16_t delay_us; uint8_t cs_change, sends, receives, bits, unused[2]; };
struct node { enum kind kind; int control; uint32_t hz; off_t position; pid_t claimer; };

static struct node nodes[TRACKED];
static pthread_mutex_t *locks; /* shared with forked children: they share the sockets, too */
static int holders[TRACKED];
static pthread_mutex_t holding = PTHREAD_MUTEX_INITIALIZER;
static uint32_t next_id;
static pid_t owner;

#define NEXT(type, name, ...) static type (*next)(__VA_ARGS__); if (!next) next = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void adopt(void) { owner = getpid(); }

__attribute__((constructor)) static void begin(void) {
    pthread_mutexattr_t attributes;
    locks = mmap(NULL, TRACKED * sizeof *locks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (locks == MAP_FAILED) abort();
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (int fd = 0; fd < TRACKED; fd++) pthread_mutex_init(&locks[fd], &attributes);
    adopt();
    pthread_atfork(NULL, NULL, adopt);
}

/* A vfork child shares this table but must not touch it: it fails the test of the process id. */
static struct node *node_of(int fd) {
    return fd >= 0 && fd < TRACKED && nodes[fd].kind != FOREIGN && getpid() == owner ? &nodes[fd] : NULL;
}

static int close_natively(int fd) { NEXT(int, "close", int); return next(fd); }

static int has_prefix(const char *variable, const char *path) {
    const char *prefix = path ? getenv(variable) : NULL;
    while (prefix && *prefix) {
        size_t length = strcspn(prefix, ":");
        if (length && !strncmp(path, prefix, length)) return 1;
        prefix += length + (prefix[length] == ':');
    }
    return 0;
}

static const char *redirected(const char *path, char *room) {
    const char *root = getenv("EVSE_SIM_ROOT");
    if (!root || !path || path[0] != '/' || !has_prefix("EVSE_SIM_REDIRECT", path)) return path;
    if (snprintf(room, PATH_MAX, "%s%s", root, path) >= PATH_MAX) return path;
    return room;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- one request, one answer ---- */

struct exchange {
    uint64_t a, b;
    const void *in; size_t in_len;
    void *out; size_t out_room, out_len;
    int fds[2], fd_count;
};

static void take_descriptors(struct msghdr *message, struct exchange *x) {
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    if (!c || c->cmsg_type != SCM_RIGHTS) return;
    x->fd_count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(x->fds, CMSG_DATA(c), (size_t)x->fd_count * sizeof(int));
}

static int64_t talk(int fd, uint32_t op, struct exchange *x) {
    struct answer answer = { .id = 0 };
    char ancillary[CMSG_SPACE(2 * sizeof(int))];
    ssize_t n;
    pthread_mutex_t *lock = &locks[fd];
    if (pthread_mutex_lock(lock) == EOWNERDEAD) pthread_mutex_consistent(lock);
    struct request request = { op, __atomic_add_fetch(&next_id, 1, __ATOMIC_RELAXED) ^ (uint32_t)getpid() << 16, x->a, x->b };
    struct iovec out[2] = { { &request, sizeof request }, { (void *)x->in, x->in_len } };
    struct iovec in[2] = { { &answer, sizeof answer }, { x->out, x->out_room } };
    struct msghdr send = { .msg_iov = out, .msg_iovlen = 2 };
    do n = sendmsg(fd, &send, MSG_NOSIGNAL); while (n < 0 && errno == EINTR);
    while (n >= 0) {
        struct msghdr receive = { .msg_iov = in, .msg_iovlen = 2, .msg_control = ancillary, .msg_controllen = sizeof ancillary };
        do n = recvmsg(fd, &receive, MSG_CMSG_CLOEXEC); while (n < 0 && errno == EINTR);
        if (n < (ssize_t)sizeof answer) n = -1;
        if (n < 0 || answer.id != request.id) continue; /* the answer to a sharer of this socket that died */
        take_descriptors(&receive, x);
        x->out_len = (size_t)n - sizeof answer;
        break;
    }
    pthread_mutex_unlock(lock);
    if (n < 0) { errno = ENODEV; return -1; }
    if (answer.result < 0) errno = (int)answer.error;
    return answer.result;
}

/* A cancelled thread would leave its answer to the next caller. */
static int64_t exchange(int fd, uint32_t op, struct exchange *x) {
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    int64_t result = talk(fd, op, x);
    int error = errno;
    pthread_setcancelstate(before, NULL);
    errno = error;
    return result;
}

/* ---- open and close ---- */

static int native(int fd, int connection, int flags) {
    close_natively(connection);
    if (!(flags & O_CLOEXEC)) fcntl(fd, F_SETFD, 0);
    if (flags & O_NONBLOCK) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

static int open_node(const char *path, int flags) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *socket_path = getenv("EVSE_SIM_SOCKET");
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | (flags & O_CLOEXEC ? SOCK_CLOEXEC : 0), 0);
    if (fd < 0) return -1;
    if (fd >= TRACKED) { close_natively(fd); errno = EMFILE; return -1; }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path ? socket_path : "");
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) { close_natively(fd); errno = ENXIO; return -1; }
    struct exchange x = { .a = (uint64_t)flags, .in = path, .in_len = strlen(path) };
    int64_t result = exchange(fd, OPEN, &x);
    if (result < 0) { int error = errno; close_natively(fd); errno = error; return -1; }
    if (x.fd_count == 1) return native(x.fds[0], fd, flags);
    nodes[fd] = (struct node){ .kind = NODE, .control = fd, .hz = (uint32_t)result };
    return fd;
}

#define OPENER(name, params, path, ...) \
    int name params { \
        NEXT(int, #name, __VA_ARGS__); \
        char room[PATH_MAX]; \
        mode_t mode = 0; \
        if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
        if (has_prefix("EVSE_SIM_NODES", path)) return open_node(path, flags); \
        const char *target = redirected(path, room); \
        return

OPENER(open, (const char *path, int flags, ...), path, const char *, int, ...) next(target, flags, mode); }
OPENER(open64, (const char *path, int flags, ...), path, const char *, int, ...) next(target, flags, mode); }
OPENER(openat, (int at, const char *path, int flags, ...), path, int, const char *, int, ...) next(at, target, flags, mode); }
OPENER(openat64, (int at, const char *path, int flags, ...), path, int, const char *, int, ...) next(at, target, flags, mode); }
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }

/* A poll holds the line's file: one that is closed while another thread polls it stays claimed until that poll has
 * returned, and a claim meanwhile finds it busy. Seen on Linux 6.12. Holders are counted by the hidden socket,
 * whose number nothing else gets before the last of them has gone. */
static int hold(int fd, int *control) {
    pthread_mutex_lock(&holding);
    struct node *node = node_of(fd);
    int line = node && node->kind == LINE && node->claimer == getpid();
    if (line) holders[*control = node->control]++;
    pthread_mutex_unlock(&holding);
    return line;
}

static void let_go(int control) {
    pthread_mutex_lock(&holding);
    int last = --holders[control] == 0;
    pthread_mutex_unlock(&holding);
    if (!last) return;
    struct exchange x = { .a = 0 };
    exchange(control, RELEASE, &x);
    close_natively(control);
}

/* The release is a request of its own, as libraries claim a line again at once and an end of file may come later. A
 * forked child that closes its copy releases nothing. */
int close(int fd) {
    struct node *node = node_of(fd);
    if (!node) return close_natively(fd);
    pthread_mutex_lock(&holding);
    struct node was = *node;
    node->kind = FOREIGN;
    pthread_mutex_unlock(&holding);
    int result = close_natively(fd);
    if (was.kind == LINE && was.claimer == getpid()) let_go(was.control);
    else if (was.kind == LINE) close_natively(was.control);
    return result;
}

#define ARGS(...) __VA_ARGS__
#define POLLED 64 /* lines held by one call; those beyond are polled without being held */
static int hold_all(struct pollfd *fds, nfds_t count, int *controls) {
    int held = 0;
    for (nfds_t i = 0; i < count && held < POLLED; i++) held += hold(fds[i].fd, &controls[held]);
    return held;
}
static int let_all_go(int result, int held, int *controls) {
    int error = errno;
    while (held) let_go(controls[--held]);
    errno = error;
    return result;
}
#define POLLER(name, declared, types, call) \
    int name(declared) { \
        NEXT(int, #name, types); \
        int controls[POLLED], held = hold_all(fds, count, controls); \
        return let_all_go(next(call), held, controls); \
    }
POLLER(poll, ARGS(struct pollfd *fds, nfds_t count, int wait), ARGS(struct pollfd *, nfds_t, int), ARGS(fds, count, wait))
POLLER(ppoll, ARGS(struct pollfd *fds, nfds_t count, const struct timespec *wait, const sigset_t *set), ARGS(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *), ARGS(fds, count, wait, set))
POLLER(__poll_chk, ARGS(struct pollfd *fds, nfds_t count, int wait, size_t size), ARGS(struct pollfd *, nfds_t, int, size_t), ARGS(fds, count, wait, size))
POLLER(__ppoll_chk, ARGS(struct pollfd *fds, nfds_t count, const struct timespec *wait, const sigset_t *set, size_t size), ARGS(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t), ARGS(fds, count, wait, set, size))

/* ---- paths ---- */

#define PATH_CALL(type, name, declared, types, call) \
    type name(declared) { NEXT(type, #name, types); char room[PATH_MAX]; return next(call); }

/* libgpiod takes a path for a GPIO chip when it is a character device whose subsystem is gpio. */
static int is_gpiochip(const char *path) {
    return path && !strncmp(path, GPIOCHIP, sizeof GPIOCHIP - 1) && has_prefix("EVSE_SIM_NODES", path);
}
#define STAT_CALL(name, declared, types, call) \
    int name(declared) { \
        NEXT(int, #name, types); \
        char room[PATH_MAX]; \
        int result = next(call); \
        if (result == 0 && is_gpiochip(path)) { \
            s->st_mode = S_IFCHR | (s->st_mode & 07777); \
            s->st_rdev = makedev(GPIO_MAJOR, (unsigned)atoi(path + sizeof GPIOCHIP - 1)); \
        } \
        return result; \
    }

static char *without_root(char *resolved) {
    char root[PATH_MAX];
    NEXT(char *, "realpath", const char *, char *);
    if (!resolved || !getenv("EVSE_SIM_ROOT") || !next(getenv("EVSE_SIM_ROOT"), root)) return resolved;
    size_t length = strlen(root);
    if (!strncmp(resolved, root, length) && resolved[length] == '/') memmove(resolved, resolved + length, strlen(resolved + length) + 1);
    return resolved;
}
char *realpath(const char *path, char *out) {
    NEXT(char *, "realpath", const char *, char *);
    char room[PATH_MAX];
    const char *target = redirected(path, room);
    return target == path ? next(path, out) : without_root(next(target, out));
}
char *__realpath_chk(const char *path, char *out, size_t size) { (void)size; return realpath(path, out); }

STAT_CALL(stat, ARGS(const char *path, struct stat *s), ARGS(const char *, struct stat *), ARGS(redirected(path, room), s))
STAT_CALL(lstat, ARGS(const char *path, struct stat *s), ARGS(const char *, struct stat *), ARGS(redirected(path, room), s))
STAT_CALL(stat64, ARGS(const char *path, struct stat64 *s), ARGS(const char *, struct stat64 *), ARGS(redirected(path, room), s))
STAT_CALL(lstat64, ARGS(const char *path, struct stat64 *s), ARGS(const char *, struct stat64 *), ARGS(redirected(path, room), s))
PATH_CALL(int, fstatat, ARGS(int at, const char *path, struct stat *s, int f), ARGS(int, const char *, struct stat *, int), ARGS(at, redirected(path, room), s, f))
PATH_CALL(int, fstatat64, ARGS(int at, const char *path, struct stat64 *s, int f), ARGS(int, const char *, struct stat64 *, int), ARGS(at, redirected(path, room), s, f))
PATH_CALL(int, statx, ARGS(int at, const char *path, int f, unsigned m, struct statx *s), ARGS(int, const char *, int, unsigned, struct statx *), ARGS(at, redirected(path, room), f, m, s))
PATH_CALL(int, access, ARGS(const char *path, int m), ARGS(const char *, int), ARGS(redirected(path, room), m))
PATH_CALL(int, faccessat, ARGS(int at, const char *path, int m, int f), ARGS(int, const char *, int, int), ARGS(at, redirected(path, room), m, f))
PATH_CALL(ssize_t, readlink, ARGS(const char *path, char *o, size_t n), ARGS(const char *, char *, size_t), ARGS(redirected(path, room), o, n))
PATH_CALL(ssize_t, readlinkat, ARGS(int at, const char *path, char *o, size_t n), ARGS(int, const char *, char *, size_t), ARGS(at, redirected(path, room), o, n))
PATH_CALL(DIR *, opendir, ARGS(const char *path), ARGS(const char *), ARGS(redirected(path, room)))
PATH_CALL(FILE *, fopen, ARGS(const char *path, const char *m), ARGS(const char *, const char *), ARGS(redirected(path, room), m))
PATH_CALL(FILE *, fopen64, ARGS(const char *path, const char *m), ARGS(const char *, const char *), ARGS(redirected(path, room), m))
/* Interpreters built for a C library before 2.33 call these instead of stat. */
STAT_CALL(__xstat, ARGS(int v, const char *path, struct stat *s), ARGS(int, const char *, struct stat *), ARGS(v, redirected(path, room), s))
STAT_CALL(__lxstat, ARGS(int v, const char *path, struct stat *s), ARGS(int, const char *, struct stat *), ARGS(v, redirected(path, room), s))
STAT_CALL(__xstat64, ARGS(int v, const char *path, struct stat64 *s), ARGS(int, const char *, struct stat64 *), ARGS(v, redirected(path, room), s))
STAT_CALL(__lxstat64, ARGS(int v, const char *path, struct stat64 *s), ARGS(int, const char *, struct stat64 *), ARGS(v, redirected(path, room), s))

/* ---- read and write: sysfs attributes ---- */

static ssize_t read_node(struct node *node, void *buffer, size_t size, off_t position) {
    struct exchange x = { .a = (uint64_t)position, .b = size, .out = buffer, .out_room = size };
    return (ssize_t)exchange(node->control, READ, &x);
}

ssize_t read(int fd, void *buffer, size_t size) {
    NEXT(ssize_t, "read", int, void *, size_t);
    struct node *node = node_of(fd);
    if (!node || node->kind != NODE) return next(fd, buffer, size);
    ssize_t n = read_node(node, buffer, size, node->position);
    if (n > 0) node->position += n;
    return n;
}

ssize_t pread(int fd, void *buffer, size_t size, off_t position) {
    NEXT(ssize_t, "pread", int, void *, size_t, off_t);
    struct node *node = node_of(fd);
    return node && node->kind == NODE ? read_node(node, buffer, size, position) : next(fd, buffer, size, position);
}
ssize_t pread64(int fd, void *buffer, size_t size, off64_t position) {
    NEXT(ssize_t, "pread64", int, void *, size_t, off64_t);
    struct node *node = node_of(fd);
    return node && node->kind == NODE ? read_node(node, buffer, size, position) : next(fd, buffer, size, position);
}

static ssize_t write_node(struct node *node, const void *buffer, size_t size) {
    struct exchange x = { .in = buffer, .in_len = size < LARGEST ? size : LARGEST };
    return (ssize_t)exchange(node->control, WRITE, &x);
}

ssize_t write(int fd, const void *buffer, size_t size) {
    NEXT(ssize_t, "write", int, const void *, size_t);
    struct node *node = node_of(fd);
    return node && node->kind == NODE ? write_node(node, buffer, size) : next(fd, buffer, size);
}
ssize_t pwrite(int fd, const void *buffer, size_t size, off_t position) {
    NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t);
    struct node *node = node_of(fd);
    return node && node->kind == NODE ? write_node(node, buffer, size) : next(fd, buffer, size, position);
}
ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t position) {
    NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    struct node *node = node_of(fd);
    return node && node->kind == NODE ? write_node(node, buffer, size) : next(fd, buffer, size, position);
}

static off_t seek_node(struct node *node, off_t offset, int whence) {
    off_t position = whence == SEEK_SET ? offset : whence == SEEK_CUR ? node->position + offset : -1;
    if (position < 0) { errno = EINVAL; return -1; }
    return node->position = position;
}
off_t lseek(int fd, off_t offset, int whence) {
    NEXT(off_t, "lseek", int, off_t, int);
    struct node *node = node_of(fd);
    return node && node->kind == NODE ? seek_node(node, offset, whence) : next(fd, offset, whence);
}
off64_t lseek64(int fd, off64_t offset, int whence) {
    NEXT(off64_t, "lseek64", int, off64_t, int);
    struct node *node = node_of(fd);
    return node && node->kind == NODE ? seek_node(node, offset, whence) : next(fd, offset, whence);
}

/* ---- ioctl ---- */

/* The simulator decides when a transfer ends; sleeping here first saves it a timer and a wake-up. */
static void sleep_through(uint64_t start, uint64_t span) {
    if (span < WORTH_SLEEPING) return;
    struct timespec end = { (time_t)((start + span) / 1000000000u), (long)((start + span) % 1000000000u) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR) { }
}

static int spi_message(struct node *node, const struct spi_ioc_transfer *list, unsigned count) {
    uint8_t in[LARGEST], out[LARGEST];
    uint64_t start = now_ns(), span = 0;
    size_t used = count * sizeof(struct transfer), received = 0;
    if (used > sizeof in) { errno = EMSGSIZE; return -1; }
    for (unsigned i = 0; i < count; i++) {
        const struct spi_ioc_transfer *t = &list[i];
        struct transfer flat = { .len = t->len, .hz = t->speed_hz, .delay_us = t->delay_usecs, .cs_change = t->cs_change,
                                 .sends = t->tx_buf != 0, .receives = t->rx_buf != 0, .bits = t->bits_per_word };
        memcpy(in + i * sizeof flat, &flat, sizeof flat);
        uint32_t hz = t->speed_hz ? t->speed_hz : node->hz;
        span += (hz ? t->len * 8000000000ull / hz : 0) + t->delay_usecs * 1000u + (t->cs_change ? 10000u : 0);
        if (!flat.sends) continue;
        if (t->len > sizeof in - used) { errno = EMSGSIZE; return -1; }
        memcpy(in + used, (const void *)(uintptr_t)t->tx_buf, t->len);
        used += t->len;
    }
    sleep_through(start, span);
    struct exchange x = { .a = count, .b = start, .in = in, .in_len = used, .out = out, .out_room = sizeof out };
    int64_t result = exchange(node->control, SPI, &x);
    for (unsigned i = 0; result >= 0 && i < count; i++) {
        if (!list[i].rx_buf || received + list[i].len > x.out_len) continue;
        memcpy((void *)(uintptr_t)list[i].rx_buf, out + received, list[i].len);
        received += list[i].len;
    }
    return (int)result;
}

/* i2c_rdwr: count, then (address, flags, length, bytes if written) for each message. */
static int i2c_messages(struct node *node, unsigned long command, struct i2c_rdwr_ioctl_data *data) {
    uint8_t in[LARGEST], out[LARGEST];
    size_t used = sizeof data->nmsgs, received = 0;
    if (data->nmsgs > I2C_RDWR_IOCTL_MAX_MSGS) { errno = EINVAL; return -1; }
    memcpy(in, &data->nmsgs, sizeof data->nmsgs);
    for (unsigned i = 0; i < data->nmsgs; i++) {
        struct i2c_msg *m = &data->msgs[i];
        if (m->len > 8192 || used + 6u + m->len > sizeof in) { errno = EINVAL; return -1; }
        memcpy(in + used, &m->addr, 2); memcpy(in + used + 2, &m->flags, 2); memcpy(in + used + 4, &m->len, 2);
        used += 6;
        if (m->flags & I2C_M_RD) continue;
        memcpy(in + used, m->buf, m->len);
        used += m->len;
    }
    struct exchange x = { .a = command, .in = in, .in_len = used, .out = out, .out_room = sizeof out };
    int64_t result = exchange(node->control, IOCTL, &x);
    for (unsigned i = 0; result >= 0 && i < data->nmsgs; i++) {
        struct i2c_msg *m = &data->msgs[i];
        if (!(m->flags & I2C_M_RD) || received + m->len > x.out_len) continue;
        memcpy(m->buf, out + received, m->len);
        received += m->len;
    }
    return (int)result;
}

/* i2c_smbus: read_write, command, size, then the data block. */
static int i2c_smbus(struct node *node, unsigned long command, struct i2c_smbus_ioctl_data *data) {
    uint8_t in[6 + sizeof *data->data] = { data->read_write, data->command };
    memcpy(in + 2, &data->size, 4);
    if (data->data) memcpy(in + 6, data->data, sizeof *data->data);
    struct exchange x = { .a = command, .in = in, .in_len = sizeof in, .out = data->data,
                          .out_room = data->data ? sizeof *data->data : 0 };
    return exchange(node->control, IOCTL, &x) < 0 ? -1 : 0;
}

static int i2c_ioctl(struct node *node, unsigned long command, void *argument) {
    uint64_t value = (uintptr_t)argument;
    if (command == I2C_RDWR) return i2c_messages(node, command, argument);
    if (command == I2C_SMBUS) return i2c_smbus(node, command, argument);
    struct exchange x = { .a = command, .in = &value, .in_len = sizeof value };
    if (command == I2C_FUNCS) x = (struct exchange){ .a = command, .out = argument, .out_room = sizeof(unsigned long) };
    return (int)exchange(node->control, IOCTL, &x);
}

static int plain_ioctl(struct node *node, unsigned long command, void *argument) {
    size_t size = _IOC_SIZE(command);
    struct exchange x = { .a = command };
    if (_IOC_DIR(command) & _IOC_WRITE) { x.in = argument; x.in_len = size; }
    if (_IOC_DIR(command) & _IOC_READ) { x.out = argument; x.out_room = size; }
    int64_t result = exchange(node->control, IOCTL, &x);
    if (result >= 0 && command == SPI_IOC_WR_MAX_SPEED_HZ) memcpy(&node->hz, argument, sizeof node->hz);
    if (result < 0 || command != GPIO_V2_GET_LINE_IOCTL) return (int)result;
    if (x.fd_count != 2 || x.fds[0] >= TRACKED || x.fds[1] >= TRACKED) {
        for (int i = 0; i < x.fd_count; i++) close_natively(x.fds[i]);
        errno = EMFILE;
        return -1;
    }
    holders[x.fds[1]] = 1;
    nodes[x.fds[0]] = (struct node){ .kind = LINE, .control = x.fds[1], .claimer = getpid() };
    ((struct gpio_v2_line_request *)argument)->fd = x.fds[0];
    return 0;
}

int ioctl(int fd, unsigned long command, ...) {
    NEXT(int, "ioctl", int, unsigned long, ...);
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    struct node *node = node_of(fd);
    if (!node) return next(fd, command, argument);
    if (_IOC_TYPE(command) == SPI_IOC_MAGIC && _IOC_NR(command) == 0)
        return spi_message(node, argument, _IOC_SIZE(command) / sizeof(struct spi_ioc_transfer));
    if ((command & ~0xfful) == 0x0700) return i2c_ioctl(node, command, argument);
    if (_IOC_TYPE(command) == SPI_IOC_MAGIC || _IOC_TYPE(command) == 0xB4) return plain_ioctl(node, command, argument);
    errno = ENOTTY;
    return -1;
}
