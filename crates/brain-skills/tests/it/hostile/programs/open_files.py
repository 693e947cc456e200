import resource
from attack import *

held = []
try:
    while len(held) < 100000:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    name = errno.errorcode[error.errno]
del held[8:], held[:8]
for descriptor in range(3, 4096):
    try:
        os.close(descriptor)
    except OSError:
        pass
tell("opening until no more can be opened", name, "EMFILE")
refused("a higher limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)), "EPERM", "ValueError: not allowed to raise maximum limit")
done()
