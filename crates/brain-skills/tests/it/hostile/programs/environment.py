from attack import *

def named(path):
    with open(path, "rb") as file:
        return sorted(item.split(b"=")[0].decode() for item in file.read().split(b"\0") if item)
# The interpreter adds one of its own.
own = named("/proc/self/environ") if os.path.exists("/proc/self/environ") else sorted(set(os.environ) - {"LC_CTYPE"})
tell("the names in the environment", " ".join(own), "HOME NAMED PATH TMPDIR")
holds("no secret of the brain is in it", not any("secret" in value for value in os.environ.values()))
refused("the environment of the first process", lambda: opened("/proc/1/environ"), "ENOENT", "EACCES")
for pid in range(1, 64):
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            holds("no secret in process %d" % pid, b"secret" not in file.read())
    except OSError:
        pass
done()
