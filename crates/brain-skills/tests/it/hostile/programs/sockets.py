import socket
from attack import *

STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5
FAMILIES = {
    "unix": (1, [STREAM, DGRAM, SEQPACKET]), "IPv4": (2, [STREAM, DGRAM, RAW]), "IPv6": (10, [STREAM, DGRAM, RAW]),
    "netlink": (16, [RAW, DGRAM]), "packet": (17, [RAW, DGRAM]), "vsock": (40, [STREAM, DGRAM]), "algorithm": (38, [SEQPACKET]),
    "bluetooth": (31, [RAW]), "XDP": (44, [RAW]), "CAN": (29, [RAW]), "key": (15, [RAW]), "TIPC": (30, [SEQPACKET]),
}
for name, (family, kinds) in FAMILIES.items():
    for kind in kinds:
        refused("a socket of %s, kind %d" % (name, kind), lambda: call("socket", family, kind, 0), "EPERM")
refused("multipath TCP", lambda: call("socket", 2, STREAM, 262), "EPERM")
def by_pair(kind, address, how):
    one, _other = socket.socketpair(socket.AF_UNIX, kind)
    with one:
        if how == "sendto":
            return one.sendto(b"hello from inside", address)
        if how == "sendmsg":
            return one.sendmsg([b"hello from inside"], [], 0, address)
        if how == "connect":
            one.connect(address)
        else:
            one.bind(address)
for kind in [socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW]:
    for where, address in {"abstract": "\0" + HOST["abstract"], "pathname": HOST["socket"]}.items():
        for how in ["sendto", "sendmsg", "connect", "bind"]:
            label = "%s to the %s socket of the host, by an end of a pair of kind %d" % (how, where, kind)
            tell(label, answer_of(lambda: by_pair(kind, address, how)),
                 "EPERM", "EISCONN", "EOPNOTSUPP", "EACCES",
                 # A pair of this kind ignores addresses: what is sent arrives at its own other end.
                 *(["open: 17"] if kind == socket.SOCK_SEQPACKET and how.startswith("send") else []))
done()
