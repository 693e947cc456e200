from attack import *

read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.write(write, b"!")
    while True:
        signal.pause()
os.read(read, 1)
holds("a child holds the output open", True)
done()
