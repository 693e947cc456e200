from attack import *

children = 0
try:
    while children < 100000:
        if os.fork() == 0:
            # Each of them goes on forking, and spins.
            while True:
                try:
                    os.fork()
                except OSError:
                    pass
        children += 1
except BlockingIOError as error:
    tell("so many processes that no more could be made", errno.errorcode[error.errno], "EAGAIN")
holds("there were at most as many as it may have", children <= 64)
ready()
while True:
    pass
