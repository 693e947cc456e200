from attack import *

count = 0
try:
    while count < 1_000_000:
        os.close(os.open("/tmp/%d" % count, os.O_CREAT | os.O_WRONLY))
        count += 1
except OSError as error:
    tell("making files until no more can be made", errno.errorcode[error.errno], "ENOSPC")
holds("there were at most as many as it may have", count <= 512)
refused("one link more", lambda: os.symlink("x", "/tmp/link"), "ENOSPC")
done()
