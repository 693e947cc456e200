"""What the hostile programs share: trying something in a child, and telling what came of it.

Each try is one line on standard output: what was tried, the answer, and whether that is the answer that must come.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import sys

HOST = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
# Where it may write: inside always here, unconfined elsewhere.
SCRATCH, OUT = HOST.get("scratch", "/tmp"), HOST.get("out", "/data/out")
X86 = platform.machine() == "x86_64"

# The numbers on x86-64 and in the table that newer architectures share.
NUMBERS = {
    "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51), "clone": (56, 220), "clone3": (435, 435),
    "execveat": (322, 281), "fchmodat2": (452, 452), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fsopen": (430, 430), "fspick": (433, 433), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425), "kcmp": (312, 272), "linkat": (265, 37), "keyctl": (250, 219), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "mknodat": (259, 33), "mount": (165, 40), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438), "pidfd_open": (434, 434), "pivot_root": (155, 41), "prlimit64": (302, 261),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "request_key": (249, 218), "semget": (64, 190), "setns": (308, 268), "shmget": (29, 194),
    "socket": (41, 198), "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
}

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
failed = False


def call(name, *arguments):
    """Makes a system call without any library in between."""
    number = NUMBERS[name][0 if X86 else 1]
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    answer = libc.syscall(ctypes.c_long(number), *wide)
    if answer < 0:
        raise OSError(ctypes.get_errno(), name)
    return answer


def answer_of(attempt):
    """Tries it in a child: the name of the error or of the signal, or what it returned."""
    sys.stdout.flush()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = "open: %r" % (attempt(),)
        except OSError as error:
            said = errno.errorcode.get(error.errno, str(error.errno))
        except BaseException as error:
            said = "%s: %s" % (type(error).__name__, error)
        os.write(write, said.encode()[:400])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said


def refused(what, attempt, *answers):
    """The answer must be one of these."""
    tell(what, answer_of(attempt), *answers)


def tell(what, answer, *answers):
    global failed
    right = answer in answers
    failed = failed or not right
    print(what, " ".join(answer.split()), "right" if right else "WRONG", sep="\t")


def holds(what, is_so):
    """Something that must be so."""
    tell(what, "so it is" if is_so else "it is not so", "so it is")


def done():
    sys.stdout.flush()
    os._exit(1 if failed else 0)


def opened(path, flags=os.O_RDONLY, mode=0o600):
    with os.fdopen(os.open(path, flags, mode), "rb") as file:
        return file.read(16) if flags == os.O_RDONLY else "opened"


def machine_code(code):
    """Runs a few bytes; a negative answer is an error."""
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    answer = run()
    if answer < 0:
        raise OSError(-answer, "machine code")
    return answer


def ready():
    print("ready", flush=True)
