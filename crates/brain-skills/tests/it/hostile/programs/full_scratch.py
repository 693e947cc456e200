from attack import *

written, number = 0, 0
try:
    while written < 1 << 30:
        with open("/tmp/%d" % number, "wb", buffering=0) as file:
            for _ in range(8):
                written += file.write(bytes(1 << 20))
        number += 1
except OSError as error:
    tell("writing until no more goes", errno.errorcode[error.errno], "ENOSPC")
holds("it was at most as much as it may", written <= 16 << 20)
for name in os.listdir("/tmp"):
    os.unlink("/tmp/" + name)
refused("one file that is too large", lambda: [os.write(os.open("/tmp/x", os.O_CREAT | os.O_WRONLY), bytes(1 << 20)) for _ in [0] if os.ftruncate(os.open("/tmp/x", os.O_CREAT | os.O_RDWR), 1 << 40)], "EFBIG", "ENOSPC")
done()
