import shutil
from attack import *

REFUSED = ("EPERM", "EACCES")
refused("memfd_create", lambda: call("memfd_create", b"x", 0), "EPERM")
refused("memfd_create, sealed and executable", lambda: call("memfd_create", b"x", 0x12), "EPERM")
refused("memfd_secret", lambda: call("memfd_secret", 0), "EPERM", "ENOSYS")
def execveat():
    file = os.open("/usr/bin/true", os.O_RDONLY)
    call("execveat", file, b"", 0, 0, 0x1000)
refused("execveat of a descriptor", execveat, "EPERM")
for place in [SCRATCH, OUT]:
    path = place + "/program"
    shutil.copyfile("/usr/bin/true", path)
    os.chmod(path, 0o755)
    refused("execute what it wrote in " + place, lambda: os.execv(path, [path]), *REFUSED)
    def by_descriptor():
        file = os.open(path, os.O_RDONLY)
        os.execv("/proc/self/fd/%d" % file, [path])
    refused("execute it by its descriptor", by_descriptor, *REFUSED, "ENOENT")
    def mapped():
        file = os.open(path, os.O_RDONLY)
        mmap.mmap(file, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
    refused("map it as code", mapped, *REFUSED)
    def loaded():
        for loader in ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]:
            if os.path.exists(loader):
                code = os.spawnv(os.P_WAIT, loader, [loader, path])
                if code:
                    raise PermissionError(errno.EACCES, loader)
                return "it ran"
        raise FileNotFoundError(errno.EACCES, "no loader")
    refused("let the loader run it", loaded, *REFUSED)
    script = place + "/script"
    with open(script, "w") as file:
        file.write("#!/bin/sh\nexit 0\n")
    os.chmod(script, 0o755)
    refused("execute a script", lambda: os.execv(script, [script]), *REFUSED)
    # To run as the owner of a file outside needs a file outside that says so.
    flags = os.O_RDWR | os.O_CREAT
    refused("a file with set-user-id in " + place, lambda: opened(place + "/suid", flags, 0o6755), "EPERM")
    refused("set-user-id afterwards", lambda: os.chmod(path, 0o6755), "EPERM")
    refused("set-user-id by a descriptor", lambda: os.fchmod(os.open(path, os.O_RDWR), 0o4755), "EPERM")
    refused("set-user-id by fchmodat2", lambda: call("fchmodat2", -100, path.encode(), 0o4755, 0), "EPERM")
    def nameless():
        file = os.open(place, os.O_RDWR | os.O_TMPFILE, 0o6755)
        call("linkat", -100, b"/proc/self/fd/%d" % file, -100, place.encode() + b"/suid2", 0x400)
        return oct(os.stat(place + "/suid2").st_mode)
    refused("set-user-id on a nameless file", nameless, "EPERM")
    refused("capabilities on a file", lambda: os.setxattr(path, "security.capability", bytes(20)), "EPERM")
done()
