import resource
from attack import *

refused("a higher limit for cores", lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30)), "EPERM", "ValueError: not allowed to raise maximum limit")
for place in ["/tmp", "/data/out"]:
    os.chdir(place)
    before = sorted(os.listdir("."))
    for number in [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT]:
        child = os.fork()
        if child == 0:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            os._exit(9)
        status = os.waitpid(child, 0)[1]
        holds("%s ends a child in %s" % (number.name, place), os.WIFSIGNALED(status) and os.WTERMSIG(status) == number)
        holds("without a core", not os.WCOREDUMP(status))
    tell("new files in " + place, str([name for name in os.listdir(".") if name not in before]), "[]")
sys.stdout.flush()
signal.signal(signal.SIGSEGV, signal.SIG_DFL)
os.kill(os.getpid(), signal.SIGSEGV)
