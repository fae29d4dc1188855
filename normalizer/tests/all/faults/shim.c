// A library between a program and the C library. It makes chosen calls on chosen files fail, and shifts the clocks.
//
// FAULT_CALLS   names of the calls below, with commas; FAULT_PATH: a part of the path of the files
// FAULT_FIRST   number of the first of these calls that fails (from 1); FAULT_EVERY: and every so many after it (0: none),
//               before number FAULT_UNTIL (0: always)
// FAULT_ERRNO   what it fails with; 0: a write is cut short instead
// FAULT_DIRECT  0: files cannot be opened to be written past the page cache
// FAULT_LOG     file to which a line is appended for each fault
// FAULT_CLOCK   file with two 64-bit numbers, nanoseconds: added to the wall clock, and to the monotonic one
// FAULT_SLOWED  the monotonic clock goes at one part in so many of its pace
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *calls, *path_part, *log_path;
static long first, every, until, fault_errno, direct;
static atomic_long count;
static volatile int64_t *clock_offsets;
static int64_t slowed = 1, monotonic_start;

static long number(const char *name, long fallback) {
    const char *text = getenv(name);
    return text ? atol(text) : fallback;
}

static int64_t real_clock(clockid_t id) {
    struct timespec now;
    syscall(SYS_clock_gettime, id, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

__attribute__((constructor)) static void set_up(void) {
    calls = getenv("FAULT_CALLS");
    path_part = getenv("FAULT_PATH");
    log_path = getenv("FAULT_LOG");
    first = number("FAULT_FIRST", 1);
    every = number("FAULT_EVERY", 0);
    until = number("FAULT_UNTIL", 0);
    fault_errno = number("FAULT_ERRNO", EIO);
    direct = number("FAULT_DIRECT", 1);
    slowed = number("FAULT_SLOWED", 1);
    monotonic_start = real_clock(CLOCK_MONOTONIC);
    const char *clock = getenv("FAULT_CLOCK");
    int fd = clock ? syscall(SYS_openat, AT_FDCWD, clock, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *mapped = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
        clock_offsets = mapped == MAP_FAILED ? NULL : mapped;
        syscall(SYS_close, fd);
    }
}

static int is_chosen(const char *call) {
    size_t len = strlen(call);
    for (const char *at = calls; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, call, len) == 0 && (at[len] == ',' || at[len] == 0)) return 1;
    return 0;
}

// Whether this call has to fail.
static int fails(const char *call, const char *path) {
    if (!calls || !path_part || !path || !strstr(path, path_part) || !is_chosen(call)) return 0;
    long at = atomic_fetch_add(&count, 1) + 1;
    if (at < first || (until && at >= until)) return 0;
    if (at > first && (every == 0 || (at - first) % every != 0)) return 0;
    char line[512];
    int len = snprintf(line, sizeof line, "%s %s\n", call, path);
    int fd = log_path ? syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        if (len > (int)sizeof line - 1) len = sizeof line - 1;
        syscall(SYS_write, fd, line, len);
        syscall(SYS_close, fd);
    }
    errno = fault_errno;
    return 1;
}

static int fd_fails(const char *call, int fd) {
    if (!calls || !is_chosen(call)) return 0;
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (len < 0) return 0;
    path[len] = 0;
    return fails(call, path);
}

#define REAL(result, name, ...)                                                                                        \
    static result (*real)(__VA_ARGS__);                                                                                \
    if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        REAL(int, #name, const char *, int, ...);                                                                      \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = va_arg(rest, mode_t);                                                                            \
        va_end(rest);                                                                                                  \
        if (!direct && (flags & O_DIRECT)) {                                                                           \
            errno = EINVAL;                                                                                            \
            return -1;                                                                                                 \
        }                                                                                                              \
        return fails("open", path) ? -1 : real(path, flags, mode);                                                     \
    }
OPEN(open)
OPEN(open64)

// Calls with a descriptor. They fail or are passed on.
#define BY_FD(name, call, parameters, arguments, ...)                                                                  \
    int name parameters {                                                                                              \
        REAL(int, #name, __VA_ARGS__);                                                                                 \
        return fd_fails(call, fd) ? -1 : real arguments;                                                               \
    }
BY_FD(fsync, "fsync", (int fd), (fd), int)
BY_FD(fdatasync, "fdatasync", (int fd), (fd), int)
BY_FD(ftruncate, "ftruncate", (int fd, off_t len), (fd, len), int, off_t)
BY_FD(ftruncate64, "ftruncate", (int fd, off64_t len), (fd, len), int, off64_t)
BY_FD(fallocate, "fallocate", (int fd, int mode, off_t at, off_t len), (fd, mode, at, len), int, int, off_t, off_t)
BY_FD(fallocate64, "fallocate", (int fd, int mode, off64_t at, off64_t len), (fd, mode, at, len), int, int, off64_t,
      off64_t)
BY_FD(flock, "flock", (int fd, int operation), (fd, operation), int, int)

// Calls with a path. They fail or are passed on. If there are two paths, the new one counts.
#define BY_PATH(name, parameters, path, arguments, ...)                                                                \
    int name parameters {                                                                                              \
        REAL(int, #name, __VA_ARGS__);                                                                                 \
        return fails(#name, path) ? -1 : real arguments;                                                               \
    }
BY_PATH(rename, (const char *from, const char *to), to, (from, to), const char *, const char *)
BY_PATH(symlink, (const char *target, const char *path), path, (target, path), const char *, const char *)
BY_PATH(mkdir, (const char *path, mode_t mode), path, (path, mode), const char *, mode_t)
BY_PATH(unlink, (const char *path), path, (path), const char *)

// A write fails in its middle, like a real one: half of it is written, and the call for the rest returns the error.
// The descriptor whose next write must return the error, plus one. 0: none.
static atomic_int rest_fails;

static int write_fails(const char *call, int fd, size_t parts, int *halves) {
    *halves = 0;
    if (atomic_load(&rest_fails) == fd + 1) {
        atomic_store(&rest_fails, 0);
        errno = fault_errno;
        return 1;
    }
    if (!fd_fails(call, fd)) return 0;
    if (fault_errno != EINTR && parts > 1) {
        atomic_store(&rest_fails, fault_errno ? fd + 1 : 0);
        *halves = 1;
    }
    return fault_errno != 0 || *halves;
}

ssize_t write(int fd, const void *bytes, size_t len) {
    REAL(ssize_t, "write", int, const void *, size_t);
    int halves;
    if (!write_fails("write", fd, len, &halves)) return real(fd, bytes, len);
    return halves ? real(fd, bytes, len / 2) : -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    int halves;
    if (!write_fails("write", fd, len, &halves)) return real(fd, bytes, len, at);
    return halves ? real(fd, bytes, len / 2, at) : -1;
}

ssize_t writev(int fd, const struct iovec *pieces, int piece_count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    int halves;
    if (!write_fails("write", fd, piece_count, &halves)) return real(fd, pieces, piece_count);
    if (!halves) return -1;
    struct iovec half[2] = {pieces[0], pieces[1]};
    // Something must be left to write, or the failing call for the rest never comes. The body of a tick is empty.
    int last = pieces[1].iov_len > 1;
    half[last].iov_len /= 2;
    return real(fd, half, last + 1);
}

ssize_t read(int fd, void *bytes, size_t len) {
    REAL(ssize_t, "read", int, void *, size_t);
    return fd_fails("read", fd) ? -1 : real(fd, bytes, len);
}

ssize_t pread64(int fd, void *bytes, size_t len, off64_t at) {
    REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
    return fd_fails("read", fd) ? -1 : real(fd, bytes, len, at);
}

int clock_gettime(clockid_t id, struct timespec *out) {
    if (syscall(SYS_clock_gettime, id, out) != 0) return -1;
    if (!clock_offsets || (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC)) return 0;
    int64_t now = out->tv_sec * 1000000000LL + out->tv_nsec;
    if (id == CLOCK_MONOTONIC) now = monotonic_start + (now - monotonic_start) / slowed;
    now += clock_offsets[id == CLOCK_MONOTONIC];
    out->tv_sec = now / 1000000000LL;
    out->tv_nsec = now % 1000000000LL;
    return 0;
}
