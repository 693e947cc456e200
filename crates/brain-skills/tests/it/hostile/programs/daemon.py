from attack import *

read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        for descriptor in [0, 1, 2]:
            os.close(descriptor)
        os.write(write, b"!")
        while True:
            signal.pause()
    os._exit(0)
os.wait()
os.read(read, 1)
holds("a grandchild in a session of its own is there", True)
done()
