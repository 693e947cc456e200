from attack import *

room = ctypes.create_string_buffer(256)
refused("io_uring_setup", lambda: call("io_uring_setup", 8, room), "ENOSYS")
refused("io_uring_enter", lambda: call("io_uring_enter", 0, 1, 0, 0, 0, 0), "ENOSYS")
refused("io_uring_register", lambda: call("io_uring_register", 0, 0, 0, 0), "ENOSYS")
done()
