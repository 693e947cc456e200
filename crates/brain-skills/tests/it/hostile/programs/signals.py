from attack import *

NOBODY = ("ESRCH", "EPERM", "EINVAL")
host = HOST["pid"]
refused("ask for a process of the host", lambda: os.kill(host, 0), *NOBODY)
refused("stop it", lambda: os.kill(host, signal.SIGSTOP), *NOBODY)
refused("kill it", lambda: os.kill(host, signal.SIGKILL), *NOBODY)
refused("kill its group", lambda: os.kill(-host, signal.SIGKILL), *NOBODY)
refused("a descriptor for it", lambda: call("pidfd_open", host, 0), *NOBODY)
refused("its limits", lambda: call("prlimit64", host, 7, 0, ctypes.create_string_buffer(16)), *NOBODY)
refused("its session", lambda: os.getsid(host), *NOBODY)
refused("its priority", lambda: os.setpriority(os.PRIO_PROCESS, host, 19), *NOBODY)
refused("where it runs", lambda: os.sched_setaffinity(host, [0]), *NOBODY)
for number in [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGCHLD]:
    # The kernel drops what would end or stop the first process of a namespace, without an error.
    tell("signal %s to the first process" % number.name, answer_of(lambda: os.kill(1, number)), "open: None", "EPERM")
seen = [name for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc/self") else []
holds("no process of the host is to be seen", all(int(pid) < 1000 for pid in seen) and len(seen) < 8)
done()
