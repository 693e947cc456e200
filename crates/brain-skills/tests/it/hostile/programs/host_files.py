from attack import *

ABSENT = ("ENOENT", "EACCES", "ENOTDIR", "EPERM")
for path in [HOST["file"], "/etc/shadow", "/etc/sudoers", "/home", "/var/lib", "/run", "/boot",
             "/sys/kernel", "/dev/sda", "/dev/vda", "/dev/mem", "/dev/kmsg", "/dev/tty", "/dev/shm",
             "/proc/kcore", "/proc/kallsyms", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern",
             "/proc/1/environ", "/proc/1/mem", "/proc/1/maps", "/proc/1/fd/0", "/proc/1/root/etc/shadow",
             "/proc/1/cwd/etc/shadow", "/proc/%d/environ" % HOST["pid"], "/proc/%d/root" % HOST["pid"]]:
    refused("read " + path, lambda: opened(path), *ABSENT)
    refused("list " + path, lambda: os.listdir(path), *ABSENT)
    refused("change " + path, lambda: opened(path, os.O_RDWR), *ABSENT, "EROFS", "EISDIR")
refused("climb out", lambda: opened("../" * 40 + HOST["file"].lstrip("/")), *ABSENT)
def climb_by_descriptor():
    root = os.open("/", os.O_RDONLY)
    return os.open("../" * 9 + HOST["file"].lstrip("/"), os.O_RDONLY, dir_fd=root)
refused("climb out by a descriptor", climb_by_descriptor, *ABSENT)
refused("a handle of a file", lambda: call("name_to_handle_at", -100, b"/usr", ctypes.create_string_buffer(b"\x80" + bytes(200)), ctypes.create_string_buffer(8), 0), "EPERM")
refused("open by handle", lambda: call("open_by_handle_at", 0, ctypes.create_string_buffer(64), 0), "SIGSYS")
refused("a device of its own", lambda: call("mknodat", -100, b"/tmp/disk", 0o060666, 0xFE00), "EPERM")
holds("users of the host are unknown", "root" not in open("/etc/passwd").read())
done()
