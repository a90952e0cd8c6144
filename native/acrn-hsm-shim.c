/*
 * /dev/acrn_hsm for programs that are linked dynamically: `upcall hsm --shim` compiles this library
 * with cc and preloads it (LD_PRELOAD). The calls that concern the device go to the server whose
 * socket the environment names, and all other calls to the system.
 *
 * Called by: the program, in place of the C library's open, stat, access and ioctl.
 * Threads: any, also in signal handlers. There is no state besides two counters, no lock and no
 * allocation.
 *
 * An open file is a connection to the server. So dup, fork, exec, close and the end of a process
 * are the system's business, and an ioctl's message goes through the descriptor that the program
 * names: the server knows its file by that. The answer comes through a socket of its own, whose
 * other end goes along with the message. So calls do not wait for each other. The server reads and
 * writes their arguments in this process's memory.
 *
 * The driver is not interrupted, but for ATTACH, which a signal ends with 0. So all signals are
 * blocked during a call, and handlers run in ATTACH's ppoll(2) only. No other call sees EINTR.
 *
 * The other side: src/acrn-programs/shim-connection.ts, and shim-messages.ts for the structures.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(sizeof(void *) == 8, "the messages have the addresses of 64-bit processes");

#define EXPORTED __attribute__((visibility("default")))

#define DEVICE_FOLDER "/dev"
#define DEVICE_NAME "acrn_hsm"
/* The major number of drivers that have only one device. */
#define MISC_MAJOR 10

/* The type and the numbers of ioctls, from linux/acrn.h and the header of ACRN's own kernel. */
#define ACRN_TYPE 0xA2
#define ATTACH_IOREQ_CLIENT 0x33
#define IOEVENTFD 0x70
#define IRQFD 0x71
#define SETUP_VM_EVENT_FD 0xA1

/* "UPC" and '1', the version of the messages. */
#define MAGIC 0x31435055u
enum operation { OPERATION_OPEN = 1, OPERATION_IOCTL = 2, OPERATION_INTERRUPT = 3, OPERATION_MAPPED = 6 };

struct request {
  uint32_t magic;
  uint32_t operation;
  /* Names the call in this connection while it waits. */
  uint64_t call;
  /*
   * Of an ioctl. For OPEN the address of a word that is MAGIC, which the server tries to read. For
   * MAPPED 0 or the errno of what failed.
   */
  uint64_t argument;
  uint32_t code;
  /* The program's number of the second descriptor that goes along, or -1. */
  int32_t descriptor;
};

/* Above those that programs name, and below the usual limit of 1024. */
#define HIGH_DESCRIPTOR 512

#define MAX_MAPPINGS 4
/* Values of `confirm`. The second one: with a userfaultfd of this process. */
enum confirm { CONFIRM_NOT = 0, CONFIRM = 1, CONFIRM_WITH_USERFAULT = 2 };
/* UFFD_USER_MODE_ONLY, which is allowed to ordinary users. */
#define USERFAULT_FLAGS (O_CLOEXEC | O_NONBLOCK | 1)

struct reply {
  /* 0 or more, or -errno. */
  int32_t result;
  uint16_t mappings;
  /* Whether the server waits for MAPPED, and its other reply has the result. */
  uint16_t confirm;
  /* The descriptors come along in this order. */
  struct {
    uint64_t address, bytes, offset;
  } mapping[MAX_MAPPINGS];
};

_Static_assert(sizeof(struct request) == 32 && sizeof(struct reply) == 104, "as in shim-messages.ts");

static struct sockaddr_un server = {.sun_family = AF_UNIX};
/* What the server calls its socket, which may be at another path here. */
static char server_name[sizeof server.sun_path];
/* The process that lets the server access its memory, 0 at first. A fork's child is another one. */
static _Atomic int accessible;
static _Atomic uint32_t calls;

/* 101 is the first priority that programs may use: their constructors may open the device. */
__attribute__((constructor(101))) static void find_server(void) {
  const char *path = getenv("UPCALL_HSM_SOCKET");
  const char *name = getenv("UPCALL_HSM_NAME");
  if (path == NULL || strlen(path) >= sizeof server.sun_path) return;
  strcpy(server.sun_path, path);
  if (name == NULL || strlen(name) >= sizeof server_name) name = path;
  strcpy(server_name, name);
}

/* The C library's own function. Threads that look it up at once store the same address. */
#define REAL(name) \
  ({ \
    static __typeof__(name) *_Atomic real; \
    if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
    real; \
  })

/* Raw calls are no cancellation points: ioctl(2) is none either. */
static void close_fd(int fd) { syscall(SYS_close, fd); }

/* Sends a request with descriptors. Returns 0 or -errno. The system adds which process sends it. */
static int send_request(int file, const struct request *request, const int *fds, int count) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
  } control = {.header = {CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
  struct iovec part = {(void *)request, sizeof *request};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
  }
  while (syscall(SYS_sendmsg, file, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EAGAIN) return errno == EPIPE || errno == ECONNRESET ? -ENODEV : -errno;
    /* The program may have made its descriptor non-blocking. */
    struct pollfd writable = {file, POLLOUT, 0};
    syscall(SYS_ppoll, &writable, 1, NULL, NULL, 0);
  }
  return 0;
}

/* Maps what the reply says. Returns 0 or an errno. */
static int map(const struct reply *reply, const int *fds, unsigned count) {
  int error = 0;
  for (unsigned i = 0; i < reply->mappings && i < count; i++) {
    void *address = (void *)reply->mapping[i].address;
    if (mmap(address, reply->mapping[i].bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fds[i],
             (off_t)reply->mapping[i].offset) != address)
      error = errno;
  }
  for (unsigned i = 0; i < count; i++) close_fd(fds[i]);
  return error;
}

/* Waits for a reply. Returns the number of descriptors that came along, or -1. */
static int receive_reply(int socket, struct reply *reply, int *fds) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MAX_MAPPINGS * sizeof(int))];
  } control;
  struct iovec part = {reply, sizeof *reply};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  if (syscall(SYS_recvmsg, socket, &message, MSG_CMSG_CLOEXEC) != sizeof *reply) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_type != SCM_RIGHTS) return 0;
  memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
  return (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

/* Waits for the result, and maps what the server wants to be mapped before. */
static int await_result(int file, struct request *request, int socket) {
  for (;;) {
    struct reply reply;
    int fds[MAX_MAPPINGS];
    int count = receive_reply(socket, &reply, fds);
    /* The server has ended. */
    if (count < 0) return -ENODEV;
    int error = map(&reply, fds, (unsigned)count);
    if (reply.confirm == CONFIRM_NOT) return error == 0 ? reply.result : -ENOMEM;
    int userfault = -1;
    if (reply.confirm == CONFIRM_WITH_USERFAULT && error == 0) {
      userfault = (int)syscall(SYS_userfaultfd, USERFAULT_FLAGS);
      if (userfault < 0) error = errno;
    }
    request->operation = OPERATION_MAPPED;
    request->argument = (uint64_t)error;
    request->descriptor = -1;
    int sent = send_request(file, request, &userfault, userfault >= 0 ? 1 : 0);
    if (userfault >= 0) close_fd(userfault);
    if (sent < 0) return sent;
  }
}

/*
 * The descriptor that an ioctl names, or -1. The system copies a structure's first word through the
 * pair of sockets, because the address may be invalid.
 */
static int named_descriptor(const int *ends, uint32_t code, uint64_t argument) {
  int fd = -1;
  if (_IOC_NR(code) == SETUP_VM_EVENT_FD) return (int)argument;
  if (_IOC_NR(code) != IOEVENTFD && _IOC_NR(code) != IRQFD) return -1;
  if (syscall(SYS_sendto, ends[0], argument, sizeof fd, MSG_NOSIGNAL, NULL, 0) != sizeof fd) return -1;
  if (syscall(SYS_recvfrom, ends[1], &fd, sizeof fd, 0, NULL, NULL) != sizeof fd) return -1;
  return fd;
}

/* A security module may allow access to a process's memory only with its consent (Yama). */
static void consent(int file) {
  int self = getpid();
  if (accessible == self) return;
  struct ucred peer;
  socklen_t bytes = sizeof peer;
  if (getsockopt(file, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.pid > 0)
    prctl(PR_SET_PTRACER, peer.pid, 0, 0, 0);
  accessible = self;
}

static int move_high(int fd) {
  int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR);
  if (high < 0) return fd;
  close_fd(fd);
  return high;
}

/* Makes a call. All signals are blocked; while ATTACH waits those of `before`, the program's own. */
static int make_call(int file, struct request request, const sigset_t *before) {
  int ends[2];
  consent(file);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -errno;
  int is_attach = request.operation == OPERATION_IOCTL && _IOC_NR(request.code) == ATTACH_IOREQ_CLIENT;
  /* It waits long: the program must not find a number taken that it has just closed. */
  for (int i = 0; is_attach && i < 2; i++) ends[i] = move_high(ends[i]);
  request.magic = MAGIC;
  request.call = (uint64_t)syscall(SYS_gettid) << 32 | ++calls;
  request.descriptor = request.operation == OPERATION_IOCTL ? named_descriptor(ends, request.code, request.argument) : -1;
  /* These are not open in the program. */
  if (request.descriptor == ends[0] || request.descriptor == ends[1]) request.descriptor = -1;
  int fds[] = {ends[1], request.descriptor};
  int result = send_request(file, &request, fds, request.descriptor >= 0 ? 2 : 1);
  if (result == -EBADF && request.descriptor >= 0) {
    /* The program's number is not open: the server finds that in its turn. */
    request.descriptor = -1;
    result = send_request(file, &request, fds, 1);
  }
  close_fd(ends[1]);
  if (result == 0 && is_attach) {
    struct pollfd readable = {ends[0], POLLIN, 0};
    if (syscall(SYS_ppoll, &readable, 1, NULL, before, _NSIG / 8) < 0 && errno == EINTR) {
      request.operation = OPERATION_INTERRUPT;
      send_request(file, &request, NULL, 0);
      close_fd(ends[0]);
      return 0;
    }
  }
  if (result == 0) result = await_result(file, &request, ends[0]);
  close_fd(ends[0]);
  return result;
}

static int connect_device(int flags, const sigset_t *before) {
  uint32_t probe = MAGIC;
  int file = socket(AF_UNIX, SOCK_SEQPACKET | (flags & O_CLOEXEC ? SOCK_CLOEXEC : 0), 0);
  if (file < 0) return -errno;
  struct request request = {.operation = OPERATION_OPEN, .argument = (uint64_t)&probe};
  int result = -ENODEV;
  if (connect(file, (struct sockaddr *)&server, sizeof server) == 0) result = make_call(file, request, before);
  if (result >= 0) return file;
  close_fd(file);
  return result;
}

/* Opens the device, or makes the request. As a system call returns: -1 and errno, or the result. */
static int answer(int file, int flags, const struct request *request) {
  int error = errno;
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  int result = request == NULL ? connect_device(flags, &before) : make_call(file, *request, &before);
  sigprocmask(SIG_SETMASK, &before, NULL);
  errno = result < 0 ? -result : error;
  return result < 0 ? -1 : result;
}

/* Whether the path, relative to the folder `at`, is that of the device. */
static int is_device(int at, const char *path) {
  char folder[256];
  struct stat there, here;
  size_t length = path == NULL ? 0 : strlen(path);
  size_t name = sizeof DEVICE_NAME - 1;
  if (server.sun_path[0] == 0 || length < name || strcmp(path + length - name, DEVICE_NAME) != 0) return 0;
  if (strcmp(path, DEVICE_FOLDER "/" DEVICE_NAME) == 0) return 1;
  length -= name;
  if (length >= sizeof folder - 1 || (length > 0 && path[length - 1] != '/')) return 0;
  memcpy(folder, path, length);
  strcpy(folder + length, ".");
  int error = errno;
  int is_same = syscall(SYS_newfstatat, at, folder, &here, 0) == 0 &&
                syscall(SYS_newfstatat, AT_FDCWD, DEVICE_FOLDER, &there, 0) == 0 &&
                here.st_dev == there.st_dev && here.st_ino == there.st_ino;
  errno = error;
  return is_same;
}

EXPORTED int ioctl(int fd, unsigned long code, ...) {
  va_list list;
  va_start(list, code);
  unsigned long argument = va_arg(list, unsigned long);
  va_end(list);
  if (_IOC_TYPE(code) == ACRN_TYPE && server.sun_path[0] != 0) {
    struct sockaddr_un peer = {0};
    socklen_t bytes = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0 && peer.sun_family == AF_UNIX &&
        strncmp(peer.sun_path, server_name, sizeof server_name) == 0) {
      struct request request = {.operation = OPERATION_IOCTL, .code = (uint32_t)code, .argument = argument};
      return answer(fd, 0, &request);
    }
  }
  return (int)syscall(SYS_ioctl, fd, code, argument);
}

/* The functions below have the C library's names and parameters. */

/* Reads a mode that is passed only with O_CREAT and O_TMPFILE: the C library looks at it only then. */
#define OPEN(at, path, flags) \
  va_list list; \
  va_start(list, flags); \
  mode_t mode = va_arg(list, mode_t); \
  va_end(list); \
  return is_device(at, path) ? answer(-1, flags, NULL) : REAL(openat)(at, path, flags, mode);

EXPORTED int open(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags) }
EXPORTED int openat(int at, const char *path, int flags, ...) { OPEN(at, path, flags) }

EXPORTED int fstatat(int at, const char *path, struct stat *target, int flags) {
  if (!is_device(at, path)) return (int)syscall(SYS_newfstatat, at, path, target, flags);
  *target = (struct stat){.st_mode = S_IFCHR | 0600, .st_nlink = 1, .st_rdev = makedev(MISC_MAJOR, 0)};
  return 0;
}
EXPORTED int stat(const char *path, struct stat *target) { return fstatat(AT_FDCWD, path, target, 0); }
EXPORTED int lstat(const char *path, struct stat *target) {
  return fstatat(AT_FDCWD, path, target, AT_SYMLINK_NOFOLLOW);
}
#ifdef STATX_BASIC_STATS
EXPORTED int statx(int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict target) {
  if (!is_device(at, path)) return (int)syscall(SYS_statx, at, path, flags, mask, target);
  *target = (struct statx){.stx_mask = STATX_BASIC_STATS, .stx_nlink = 1, .stx_mode = S_IFCHR | 0600};
  target->stx_rdev_major = MISC_MAJOR;
  return 0;
}
#endif
EXPORTED int access(const char *path, int mode) {
  return is_device(AT_FDCWD, path) ? 0 : REAL(access)(path, mode);
}
EXPORTED int faccessat(int at, const char *path, int mode, int flags) {
  return is_device(at, path) ? 0 : REAL(faccessat)(at, path, mode, flags);
}

/* Of programs that were compiled with _FORTIFY_SOURCE: the C library checks their flags. */
#define CHECKED(name, at, parameters, ...) \
  EXPORTED int name parameters { return is_device(at, path) ? answer(-1, flags, NULL) : REAL(name)(__VA_ARGS__); }
CHECKED(__open_2, AT_FDCWD, (const char *path, int flags), path, flags)
CHECKED(__open64_2, AT_FDCWD, (const char *path, int flags), path, flags)
CHECKED(__openat_2, at, (int at, const char *path, int flags), at, path, flags)
CHECKED(__openat64_2, at, (int at, const char *path, int flags), at, path, flags)

/* Of programs that were compiled with a C library before 2.33. */
EXPORTED int __xstat(int version, const char *path, struct stat *target) {
  (void)version;
  return fstatat(AT_FDCWD, path, target, 0);
}
EXPORTED int __lxstat(int version, const char *path, struct stat *target) {
  (void)version;
  return fstatat(AT_FDCWD, path, target, AT_SYMLINK_NOFOLLOW);
}

/* The same by their other names: a long has 64 bits. */
#pragma GCC diagnostic ignored "-Wattribute-alias"
#define ALSO(name, other) EXPORTED __typeof__(name) other __attribute__((alias(#name)));
ALSO(open, open64)
ALSO(openat, openat64)
ALSO(__xstat, __xstat64)
ALSO(__lxstat, __lxstat64)
#undef stat64
#undef lstat64
#undef fstatat64
extern __typeof__(stat64) stat64 EXPORTED __attribute__((alias("stat")));
extern __typeof__(lstat64) lstat64 EXPORTED __attribute__((alias("lstat")));
extern __typeof__(fstatat64) fstatat64 EXPORTED __attribute__((alias("fstatat")));
