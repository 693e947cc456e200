import fcntl
from attack import *

def is_open(descriptor):
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
        return True
    except OSError:
        return False
found = [descriptor for descriptor in range(4096) if is_open(descriptor)]
tell("which descriptors are open", str(found), "[0, 1, 2]")
tell("how many 0 to 2 are pipes", str(sum(os.readlink("/proc/self/fd/%d" % d).startswith("pipe:") for d in range(3))
     if os.path.isdir("/proc/self/fd") else 3), "3")
refused("the descriptors of the first process", lambda: os.listdir("/proc/1/fd"), "ENOENT", "EACCES")
done()
