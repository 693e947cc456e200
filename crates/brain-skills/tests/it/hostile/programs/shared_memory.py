from attack import *

refused("System V memory", lambda: call("shmget", 0x5EC2, 4096, 0o1666), "EPERM")
refused("System V memory of the host", lambda: call("shmget", 0x5EC2, 0, 0), "EPERM")
refused("System V semaphores", lambda: call("semget", 0x5EC2, 1, 0o1666), "EPERM")
refused("System V queues", lambda: call("msgget", 0x5EC2, 0o1666), "EPERM")
refused("a POSIX queue", lambda: call("mq_open", b"x", 0o102, 0o600, 0), "EPERM")
refused("POSIX memory", lambda: opened("/dev/shm/" + os.path.basename(os.path.dirname(HOST["file"])), os.O_RDWR | os.O_CREAT), "ENOENT", "EACCES", "EROFS")
refused("the list of POSIX memory", lambda: os.listdir("/dev/shm"), "ENOENT", "EACCES")
refused("queues by name", lambda: os.listdir("/dev/mqueue"), "ENOENT", "EACCES")
done()
