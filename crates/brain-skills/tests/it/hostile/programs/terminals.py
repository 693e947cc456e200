import fcntl
from attack import *

TIOCSTI, TIOCLINUX, TIOCSCTTY, TIOCSETD = 0x5412, 0x541C, 0x540E, 0x5423
for name, number in {"TIOCSTI": TIOCSTI, "TIOCLINUX": TIOCLINUX, "TIOCSCTTY": TIOCSCTTY, "TIOCSETD": TIOCSETD}.items():
    for descriptor in [0, 1, 2]:
        refused("%s on %d" % (name, descriptor), lambda: fcntl.ioctl(descriptor, number, b"x"), "EPERM")
    # The kernel reads 32 bits; a filter that read 64 would be fooled by this one.
    raw = 16 if X86 else 29
    def wide():
        if libc.syscall(ctypes.c_long(raw), ctypes.c_long(0), ctypes.c_ulong(1 << 32 | number), ctypes.create_string_buffer(b"x")) < 0:
            raise OSError(ctypes.get_errno(), "ioctl")
    refused(name + " with higher bits", wide, "EPERM")
for path in ["/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/console", "/dev/tty0", "/dev/vcs"]:
    refused("open " + path, lambda: opened(path, os.O_RDWR), "ENOENT", "EACCES")
holds("nothing of it is a terminal", not any(os.isatty(descriptor) for descriptor in [0, 1, 2]))
done()
