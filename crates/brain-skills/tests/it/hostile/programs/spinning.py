from attack import *

signal.signal(signal.SIGXCPU, signal.SIG_IGN)
ready()
while True:
    pass
