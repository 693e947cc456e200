from attack import *

room = ctypes.create_string_buffer(64)
def chroot():
    call("chroot", b"/tmp")
tries = {
    "mount": (b"none", b"/tmp", b"tmpfs", 0, 0), "umount2": (b"/skill", 2), "pivot_root": (b"/tmp", b"/tmp"),
    "open_tree": (-100, b"/", 1), "move_mount": (-100, b"/", -100, b"/tmp", 0), "fsopen": (b"proc", 0),
    "fsconfig": (0, 6, 0, 0, 0), "fsmount": (0, 0, 0), "fspick": (-100, b"/", 0),
    "mount_setattr": (-100, b"/skill", 0, room, 32),
}
for name, arguments in tries.items():
    refused(name, lambda: call(name, *arguments), "SIGSYS")
for kind in ["user", "mnt", "net", "pid", "ipc", "uts", "cgroup"]:
    refused("a descriptor for the %s namespace of the first process" % kind, lambda: opened("/proc/1/ns/" + kind), "ENOENT", "EACCES")
refused("setns", lambda: call("setns", 0, 0), "SIGSYS")
refused("chroot", chroot, "EPERM")
done()
