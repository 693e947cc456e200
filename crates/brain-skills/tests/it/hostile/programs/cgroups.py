from attack import *

ABSENT = ("ENOENT", "EACCES", "EROFS", "EPERM")
for path in ["cgroup.procs", "memory/memory.limit_in_bytes", "memory/cgroup.procs", "pids/cgroup.procs",
             "memory.max", "unified/cgroup.procs", "release_agent", "memory/release_agent"]:
    refused("write " + path, lambda: opened("/sys/fs/cgroup/" + path, os.O_WRONLY), *ABSENT)
refused("a group of its own", lambda: os.mkdir("/sys/fs/cgroup/memory/own"), *ABSENT)
refused("mount them", lambda: call("mount", b"none", b"/tmp", b"cgroup2", 0, 0), "SIGSYS")
refused("another group namespace", lambda: call("unshare", 0x2000000), "EPERM")
if os.path.exists("/proc/self/cgroup"):
    with open("/proc/self/cgroup") as file:
        names = file.read()
    holds("the names of its groups are not to be seen", "studio-brain" not in names)
refused("move itself", lambda: opened("/proc/self/cgroup", os.O_WRONLY), *ABSENT)
done()
