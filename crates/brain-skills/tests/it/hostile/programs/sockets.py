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
        if HOST.get("egress") and name in ["IPv4", "IPv6"] and kind == STREAM:
            continue  # This is what its way out is made of.
        refused("a socket of %s, kind %d" % (name, kind), lambda: call("socket", family, kind, 0), "EPERM")
def to_port(address, port):
    socket.create_connection((address, port), 2)
for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254"]:
    refused("TCP to the port of the host at " + address, lambda: to_port(address, HOST["port"]), "EPERM", "EACCES", "ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL")
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
                 # With egress connect is let through. Its network has no such name, and the kind is not that of the socket.
                 *(["ECONNREFUSED", "EPROTOTYPE"] if HOST.get("egress") and how == "connect" else []),
                 # A pair of this kind ignores addresses: what is sent arrives at its own other end.
                 *(["open: 17"] if kind == socket.SOCK_SEQPACKET and how.startswith("send") else []))
# This one listens for streams; an end of a pair is connected already, and stays so.
refused("connect an end of a pair to a listener of the host", lambda: by_pair(socket.SOCK_STREAM, HOST["giver_socket"], "connect"), "EPERM", "EISCONN")
done()
