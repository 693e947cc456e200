from attack import *

PTRACE_ATTACH, PTRACE_SEIZE, PTRACE_TRACEME = 16, 0x4206, 0
parent = os.getpid()
room = ctypes.create_string_buffer(64)
for pid in [parent, 1, HOST["pid"]]:
    if pid != parent:
        # Where it is let through, this one would stop the program itself.
        refused("attach to %s" % ("a process of the host" if pid == HOST["pid"] else pid), lambda: call("ptrace", PTRACE_ATTACH, pid, 0, 0), "SIGSYS")
    refused("seize it", lambda: call("ptrace", PTRACE_SEIZE, pid, 0, 0), "SIGSYS")
    refused("read its memory", lambda: call("process_vm_readv", pid, room, 1, room, 1, 0), "SIGSYS")
    refused("write its memory", lambda: call("process_vm_writev", pid, room, 1, room, 1, 0), "SIGSYS")
    refused("take its descriptors", lambda: call("pidfd_getfd", 3, 0, 0), "SIGSYS")
    refused("compare its resources", lambda: call("kcmp", pid, parent, 0, 0, 0), "SIGSYS")
refused("be traced", lambda: call("ptrace", PTRACE_TRACEME, 0, 0, 0), "SIGSYS")
refused("the memory of the first process", lambda: opened("/proc/1/mem", os.O_RDWR), "ENOENT", "EACCES")
refused("the descriptors of the first process", lambda: os.listdir("/proc/1/fd"), "ENOENT", "EACCES")
done()
