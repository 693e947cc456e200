from attack import *

# Orphans are reaped for it, however many there are.
for _ in range(200):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
# Its own it has to reap itself; until then they count.
count = 0
try:
    while count < 100000:
        if os.fork() == 0:
            os._exit(0)
        count += 1
except BlockingIOError as error:
    name = errno.errorcode[error.errno]
    holds("there were at most as many as it may have", count <= 64)
    print("forking without waiting", name, "right", sep="\t")
sys.stdout.flush()
os._exit(0)
