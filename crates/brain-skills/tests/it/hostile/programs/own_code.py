from attack import *

FIXED = ("EROFS", "EACCES", "EPERM")
def by_descriptor():
    file = os.open("/skill/program.py", os.O_RDONLY)
    return opened("/proc/self/fd/%d" % file, os.O_RDWR)
def by_mapping():
    file = os.open("/skill/program.py", os.O_RDONLY)
    mmap.mmap(file, 10, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)[0] = 65
for where in ["/skill", "/usr", "/etc", "/", "/dev", "/proc", "/data", "/data/in"]:
    refused("a new file in " + where, lambda: opened(where + "/new", os.O_WRONLY | os.O_CREAT), *FIXED, "ENOENT")
    refused("a nameless file in " + where, lambda: opened(where, os.O_WRONLY | os.O_TMPFILE), *FIXED, "EOPNOTSUPP", "EISDIR", "ENOENT")
    refused("a directory in " + where, lambda: os.mkdir(where + "/newdir"), *FIXED, "ENOENT")
    refused("the mode of " + where, lambda: os.chmod(where, 0o777), *FIXED)
refused("write", lambda: opened("/skill/program.py", os.O_WRONLY), *FIXED)
refused("append", lambda: opened("/skill/program.py", os.O_WRONLY | os.O_APPEND), *FIXED)
refused("cut off", lambda: os.truncate("/skill/program.py", 0), *FIXED)
refused("change the mode", lambda: os.chmod("/skill/program.py", 0o777), *FIXED)
refused("change the owner", lambda: os.chown("/skill/program.py", os.getuid(), os.getgid()), *FIXED)
refused("change the times", lambda: os.utime("/skill/program.py", (1, 1)), *FIXED)
refused("an attribute", lambda: os.setxattr("/skill/program.py", "user.x", b"x"), *FIXED)
refused("remove", lambda: os.unlink("/skill/program.py"), *FIXED)
refused("rename", lambda: os.rename("/skill/program.py", "/skill/other.py"), *FIXED)
refused("replace by another file", lambda: os.rename("/tmp", "/skill"), *FIXED, "EXDEV", "EBUSY")
refused("reopen for writing", by_descriptor, *FIXED, "ENOENT")
refused("write by mapping", by_mapping, *FIXED)
done()
