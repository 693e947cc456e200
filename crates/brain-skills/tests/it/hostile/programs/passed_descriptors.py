import socket
from attack import *

for descriptor in [0, 1, 2]:
    def receive():
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor).recvmsg(1, 1024)
    refused("receive a descriptor on %d" % descriptor, receive, "ENOTSOCK")
def asked(address, kind):
    end = socket.socket(socket.AF_UNIX, kind)
    end.settimeout(1)
    end.connect(address)
    return socket.recv_fds(end, 16, 4)
for where, address in {"abstract": "\0" + HOST["giver"], "pathname": HOST["giver_socket"]}.items():
    refused("ask the %s socket of the host for one" % where, lambda: asked(address, socket.SOCK_STREAM), "EPERM")
def given_by_pair(address):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with open("/skill/program.py") as file:
        socket.send_fds(one, [b"take it"], [file.fileno()], 0, address)
    return "sent"
for where, address in {"abstract": "\0" + HOST["abstract"], "pathname": HOST["socket"]}.items():
    refused("hand one to the %s socket of the host" % where, lambda: given_by_pair(address), "EPERM")
refused("take one of another process", lambda: call("pidfd_getfd", 3, 0, 0), "SIGSYS")
done()
