"""Which system calls a snippet may make: a classic BPF program built by hand.

Everything named in `REFUSED` answers EPERM; everything newer than `NEWEST` answers ENOSYS, so
that libraries fall back as on an older kernel; a 32-bit call ends the process. The numbers are
those of Linux's unistd.h; a test compares them with the machine's headers.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable

from . import kernel

REFUSED = {
    "other processes": "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd "
    "process_madvise process_mrelease",
    "code in the kernel": "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter "
    "io_uring_register io_setup kexec_load kexec_file_load init_module finit_module delete_module",
    "keys": "keyctl add_key request_key",
    "mounts": "mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount "
    "fspick mount_setattr statmount listmount open_tree_attr",
    "namespaces": "unshare setns",
    "the machine": "reboot swapon swapoff sethostname setdomainname acct settimeofday "
    "clock_settime clock_adjtime adjtimex quotactl quotactl_fd syslog vhangup sync syncfs "
    "lookup_dcookie",
    "files by handle": "name_to_handle_at open_by_handle_at",
    # They tell what other processes do with the files that all may read.
    "watching files": "fanotify_init fanotify_mark inotify_init1 inotify_add_watch",
    "memory placement": "move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node",
    # Memory that belongs to no process, so nobody could count it.
    "memory out of sight": "memfd_create memfd_secret shmget shmat shmctl shmdt semget semop "
    "semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink vmsplice tee splice",
    # Lists of access rights are kept in memory that nothing limits.
    "attributes of files": "setxattr lsetxattr fsetxattr setxattrat",
    "other": "personality ioprio_set seccomp lsm_set_self_attr map_shadow_stack cachestat "
    "landlock_create_ruleset landlock_add_rule landlock_restrict_self pkey_alloc",
    "x86 only": "iopl ioperm modify_ldt uselib ustat sysfs _sysctl create_module query_module "
    "get_kernel_syms nfsservctl inotify_init",
}

NEWEST = 467
"""open_tree_attr (Linux 6.15): the newest call that this list was reviewed against."""

# Where the two architectures agree: every call since 5.1 has one number.
_COMMON = {
    "pidfd_getfd": 438, "process_madvise": 440, "process_mrelease": 448, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "move_mount": 429, "open_tree": 428,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "statmount": 457, "listmount": 458, "open_tree_attr": 467, "quotactl_fd": 443,
    "set_mempolicy_home_node": 450, "memfd_secret": 447, "lsm_set_self_attr": 460,
    "map_shadow_stack": 453, "landlock_create_ruleset": 444, "landlock_add_rule": 445,
    "landlock_restrict_self": 446, "cachestat": 451, "clone3": 435, "setxattrat": 463,
}  # fmt: skip

NUMBERS = {
    "x86_64": {
        **_COMMON,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "bpf": 321,
        "perf_event_open": 298, "userfaultfd": 323, "io_setup": 206, "kexec_load": 246,
        "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176,
        "keyctl": 250, "add_key": 248, "request_key": 249, "mount": 165, "umount2": 166,
        "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "reboot": 169,
        "swapon": 167, "swapoff": 168, "sethostname": 170, "setdomainname": 171, "acct": 163,
        "settimeofday": 164, "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159,
        "quotactl": 179, "syslog": 103, "vhangup": 153, "sync": 162, "lookup_dcookie": 212,
        "name_to_handle_at": 303, "open_by_handle_at": 304, "fanotify_init": 300,
        "fanotify_mark": 301, "move_pages": 279, "migrate_pages": 256, "mbind": 237,
        "set_mempolicy": 238, "memfd_create": 319, "shmget": 29, "shmat": 30, "shmctl": 31,
        "shmdt": 67, "semget": 64, "semop": 65, "semctl": 66, "semtimedop": 220, "msgget": 68,
        "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "mq_open": 240, "mq_unlink": 241,
        "vmsplice": 278, "tee": 276, "splice": 275, "personality": 135, "ioprio_set": 251,
        "seccomp": 317, "pkey_alloc": 330, "iopl": 172, "ioperm": 173, "modify_ldt": 154,
        "uselib": 134, "ustat": 136, "sysfs": 139, "_sysctl": 156, "create_module": 174,
        "query_module": 178, "get_kernel_syms": 177, "nfsservctl": 180, "inotify_init": 253,
        "inotify_init1": 294, "inotify_add_watch": 254, "syncfs": 306, "socketpair": 53,
        "fcntl": 72, "setrlimit": 160, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
        "setsockopt": 54,
        "socket": 41, "clone": 56, "ioctl": 16, "prlimit64": 302, "mmap": 9, "setpriority": 141,
        "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203,
        "sched_setattr": 314,
    },
    "aarch64": {
        **_COMMON,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "bpf": 280,
        "perf_event_open": 241, "userfaultfd": 282, "io_setup": 0, "kexec_load": 104,
        "kexec_file_load": 294, "init_module": 105, "finit_module": 273, "delete_module": 106,
        "keyctl": 219, "add_key": 217, "request_key": 218, "mount": 40, "umount2": 39,
        "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268, "reboot": 142,
        "swapon": 224, "swapoff": 225, "sethostname": 161, "setdomainname": 162, "acct": 89,
        "settimeofday": 170, "clock_settime": 112, "clock_adjtime": 266, "adjtimex": 171,
        "quotactl": 60, "syslog": 116, "vhangup": 58, "sync": 81, "lookup_dcookie": 18,
        "name_to_handle_at": 264, "open_by_handle_at": 265, "fanotify_init": 262,
        "fanotify_mark": 263, "move_pages": 239, "migrate_pages": 238, "mbind": 235,
        "set_mempolicy": 237, "memfd_create": 279, "shmget": 194, "shmat": 196, "shmctl": 195,
        "shmdt": 197, "semget": 190, "semop": 193, "semctl": 191, "semtimedop": 192,
        "msgget": 186, "msgsnd": 189, "msgrcv": 188, "msgctl": 187, "mq_open": 180,
        "mq_unlink": 181, "vmsplice": 75, "tee": 77, "splice": 76, "personality": 92,
        "ioprio_set": 30, "seccomp": 277, "pkey_alloc": 289, "inotify_init1": 26,
        "inotify_add_watch": 27, "syncfs": 267, "socketpair": 199, "fcntl": 25, "setrlimit": 164,
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "setsockopt": 208,
        "socket": 198, "clone": 220, "ioctl": 29, "prlimit64": 261, "mmap": 222, "setpriority": 140,
        "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122,
        "sched_setattr": 274,
    },
}  # fmt: skip

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN, AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
TSYNC = 1
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x50000
NUMBER_AT, ARCH_AT, FIRST_ARG_AT = 0, 4, 16

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
NETLINK_ROUTE = 0
ANY_PROTOCOL, TCP, UDP = 0, 6, 17
SHARED_ANONYMOUS = 0x21
"""MAP_SHARED, or MAP_SHARED_VALIDATE which has its bit, with MAP_ANONYMOUS."""
SCHEDULING = ("sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity")
PRIO_USER = 2
PID_1 = 1
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
F_SETLEASE, F_NOTIFY = 1024, 1026
RLIMIT_CORE = 4
SOL_SOCKET, SO_SNDBUF, SO_RCVBUF = 1, 7, 8


def _argument(index: int) -> int:
    """Offset of the low half of an argument."""
    return FIRST_ARG_AT + 8 * index


def _clone_rules() -> list[tuple[int, int, int, int]]:
    """No clone into a new namespace."""
    return [
        (LOAD, 0, 0, _argument(0)),
        (ANY_BIT, 0, 1, kernel.NEW_ALL),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _socket_rules() -> list[tuple[int, int, int, int]]:
    """Local sockets, TCP and UDP, and the netlink protocol that lists interfaces."""
    return [
        (LOAD, 0, 0, _argument(0)),
        (EQUAL, 0, 1, AF_UNIX),
        (RETURN, 0, 0, ALLOW),
        (EQUAL, 5, 0, AF_INET),
        (EQUAL, 4, 0, AF_INET6),
        (EQUAL, 1, 0, AF_NETLINK),
        (RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT),
        (LOAD, 0, 0, _argument(2)),
        (EQUAL, 4, 5, NETLINK_ROUTE),
        (LOAD, 0, 0, _argument(2)),
        (EQUAL, 2, 0, ANY_PROTOCOL),
        (EQUAL, 1, 0, TCP),
        (EQUAL, 0, 1, UDP),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _ioctl_rules() -> list[tuple[int, int, int, int]]:
    """No typing into a terminal."""
    return [
        (LOAD, 0, 0, _argument(1)),
        (EQUAL, 1, 0, TIOCSTI),
        (EQUAL, 0, 1, TIOCLINUX),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _prlimit_rules() -> list[tuple[int, int, int, int]]:
    """Limits of one's own only; the one on core dumps may only be read (`snippet.lock_down`)."""
    return [
        (LOAD, 0, 0, _argument(0)),
        (EQUAL, 0, 6, 0),
        (LOAD, 0, 0, _argument(1)),
        (EQUAL, 0, 5, RLIMIT_CORE),
        (LOAD, 0, 0, _argument(2)),
        (EQUAL, 0, 2, 0),
        (LOAD, 0, 0, _argument(2) + 4),
        (EQUAL, 1, 0, 0),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _setrlimit_rules() -> list[tuple[int, int, int, int]]:
    """Likewise."""
    return [
        (LOAD, 0, 0, _argument(0)),
        (EQUAL, 0, 1, RLIMIT_CORE),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _socketpair_rules() -> list[tuple[int, int, int, int]]:
    """Of local sockets; asking for others can load modules."""
    return [
        (LOAD, 0, 0, _argument(0)),
        (EQUAL, 1, 0, AF_UNIX),
        (RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT),
    ]


def _fcntl_rules() -> list[tuple[int, int, int, int]]:
    """No lease, which makes others who open a file wait; no watching of directories."""
    return [
        (LOAD, 0, 0, _argument(1)),
        (EQUAL, 1, 0, F_SETLEASE),
        (EQUAL, 0, 1, F_NOTIFY),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _setsockopt_rules() -> list[tuple[int, int, int, int]]:
    """Buffers keep the size that is counted (`usage`): a wish for another is met by a yes alone."""
    return [
        (LOAD, 0, 0, _argument(1)),
        (EQUAL, 0, 4, SOL_SOCKET),
        (LOAD, 0, 0, _argument(2)),
        (EQUAL, 1, 0, SO_SNDBUF),
        (EQUAL, 0, 1, SO_RCVBUF),
        (RETURN, 0, 0, ERRNO),
    ]


def _mmap_rules() -> list[tuple[int, int, int, int]]:
    """No shared memory without a file: what no process maps any more, nobody could count."""
    return [
        (LOAD, 0, 0, _argument(3)),
        (AND, 0, 0, SHARED_ANONYMOUS),
        (EQUAL, 0, 1, SHARED_ANONYMOUS),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _scheduling_rules() -> list[tuple[int, int, int, int]]:
    """The process that watches cannot be slowed down."""
    return [
        (LOAD, 0, 0, _argument(0)),
        (EQUAL, 0, 1, PID_1),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _priority_rules() -> list[tuple[int, int, int, int]]:
    """Likewise; nor together with all others of its user."""
    return [
        (LOAD, 0, 0, _argument(0)),
        (EQUAL, 2, 0, PRIO_USER),
        (LOAD, 0, 0, _argument(1)),
        (EQUAL, 0, 1, PID_1),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def refused(machine: str) -> dict[str, int]:
    """Names and numbers of the refused calls that this architecture has."""
    names = " ".join(REFUSED.values()).split()
    return {name: NUMBERS[machine][name] for name in names if name in NUMBERS[machine]}


def program(machine: str) -> bytes:
    """The filter as an array of `struct sock_filter`."""
    numbers = NUMBERS[machine]
    code = [
        (LOAD, 0, 0, ARCH_AT),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        # Also catches x32, whose numbers have bit 30 set.
        (AT_LEAST, 0, 1, NEWEST + 1),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),
        # Its flags are behind a pointer; ENOSYS makes libc use clone, whose flags are not.
        (EQUAL, 0, 1, numbers["clone3"]),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),
    ]
    for number in sorted(refused(machine).values()):
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | errno.EPERM)]
    for name, rules in (
        ("clone", _clone_rules()),
        ("socket", _socket_rules()),
        ("socketpair", _socketpair_rules()),
        ("ioctl", _ioctl_rules()),
        ("fcntl", _fcntl_rules()),
        ("setsockopt", _setsockopt_rules()),
        ("setrlimit", _setrlimit_rules()),
        ("prlimit64", _prlimit_rules()),
        ("mmap", _mmap_rules()),
        ("setpriority", _priority_rules()),
        *((name, _scheduling_rules()) for name in SCHEDULING),
    ):
        code += [(EQUAL, 0, len(rules) + 1, numbers[name]), *rules, (RETURN, 0, 0, ALLOW)]
    code.append((RETURN, 0, 0, ALLOW))
    return assemble(code)


def assemble(code: Iterable[tuple[int, int, int, int]]) -> bytes:
    """Instructions as the kernel reads them."""
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install() -> None:
    """Put this process and all it starts under the filter, for good."""
    load(program(kernel.MACHINE), TSYNC)


def load(code: bytes, flags: int) -> int:
    """Add a filter to those of this process; what the call returns depends on `flags`."""
    buffer = ctypes.create_string_buffer(code, len(code))
    argument = _Program(len(code) // 8, ctypes.addressof(buffer))
    number = kernel.SYS_SECCOMP[kernel.MACHINE]
    set_mode_filter = ctypes.c_uint(1)
    return kernel.syscall(
        number, "seccomp", set_mode_filter, ctypes.c_uint(flags), ctypes.byref(argument)
    )
