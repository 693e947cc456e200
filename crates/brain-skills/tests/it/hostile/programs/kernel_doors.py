from attack import *

room = ctypes.create_string_buffer(128)
refused("add_key", lambda: call("add_key", b"user", b"x", b"y", 1, -3), "EPERM")
refused("request_key", lambda: call("request_key", b"user", b"x", 0, 0), "EPERM")
for operation in [0, 1, 8, 11]:
    refused("keyctl %d" % operation, lambda: call("keyctl", operation, -3, 0, 0, 0), "EPERM")
for command in [0, 5, 13]:
    refused("bpf %d" % command, lambda: call("bpf", command, room, 128), "SIGSYS")
refused("perf_event_open", lambda: call("perf_event_open", room, 0, -1, -1, 0), "EPERM")
refused("userfaultfd", lambda: call("userfaultfd", 0), "SIGSYS")
refused("userfaultfd of its own pages", lambda: call("userfaultfd", 1), "SIGSYS")
refused("/dev/userfaultfd", lambda: opened("/dev/userfaultfd"), "ENOENT", "EACCES")
done()
