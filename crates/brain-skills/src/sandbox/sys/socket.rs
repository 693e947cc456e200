//! Packets with descriptors between the brain and the launcher, and the loopback interface of a new network.
//!
//! Invariants: a packet is read whole or refused; received descriptors are owned from the moment they are here, and close
//! in programs that are executed.
#![allow(unsafe_code, reason = "system calls that the standard library has no function for")]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
    time::Duration,
};

use super::{check, owned};

/// The most descriptors that go with one packet.
const MAX_DESCRIPTORS: usize = 4;

/// Room for the control part of a packet, aligned as its header must be.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Two ends of a connection that keeps packets apart.
pub(in crate::sandbox) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two numbers that the kernel writes.
    check(libc::c_long::from(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC,
            0,
            ends.as_mut_ptr(),
        )
    }))?;
    Ok((owned(ends[0].into())?, owned(ends[1].into())?))
}

/// After how long reading and writing give up.
pub(in crate::sandbox) fn set_patience(socket: BorrowedFd<'_>, patience: Duration) -> io::Result<()> {
    let time = libc::timeval {
        tv_sec: libc::time_t::try_from(patience.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_usec: patience.subsec_micros().into(),
    };
    set_option(socket, libc::SO_RCVTIMEO, &time)?;
    set_option(socket, libc::SO_SNDTIMEO, &time)
}

fn set_option<T>(socket: BorrowedFd<'_>, option: i32, value: &T) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the pointer and the size are those of `value`, which lives through the call.
    check(libc::c_long::from(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            ptr::from_ref(value).cast(),
            size,
        )
    }))
    .map(drop)
}

/// Sends a packet of these parts, and descriptors with it.
pub(in crate::sandbox) fn send(
    socket: BorrowedFd<'_>,
    parts: [&[u8]; 2],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut pieces = parts.map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    let mut control = Control([0; 64]);
    let bytes = u32::try_from(size_of_val(descriptors)).map_err(io::Error::other)?;
    // SAFETY: the header points to `pieces` and `control`, which live through the call; the control part has room for four
    // descriptors, as CMSG_SPACE(16) is 32, and is filled as CMSG_* say. sendmsg only reads.
    let sent = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = pieces.as_mut_ptr();
        header.msg_iovlen = pieces.len() as _;
        if !descriptors.is_empty() {
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(bytes) as _;
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(bytes) as _;
            let data = libc::CMSG_DATA(first).cast::<i32>();
            for (at, descriptor) in descriptors.iter().enumerate() {
                data.add(at).write_unaligned(descriptor.as_raw_fd());
            }
        }
        libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL)
    };
    check(sent as libc::c_long).map(drop)
}

/// Receives a packet into `buffer`; its length is zero when the other end is closed.
pub(in crate::sandbox) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    block: bool,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut piece = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut control = Control([0; 64]);
    let flags = libc::MSG_CMSG_CLOEXEC | if block { 0 } else { libc::MSG_DONTWAIT };
    let mut descriptors = Vec::new();
    // SAFETY: the header points to `piece` and `control`, which live through the call and have the sizes that are said; the
    // control part is read as CMSG_* say, and each descriptor in it was made for us by the kernel.
    let (got, cut) = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut piece;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len() as _;
        let got = check(libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) as libc::c_long)?;
        let mut at = libc::CMSG_FIRSTHDR(&raw const header);
        while !at.is_null() {
            if (*at).cmsg_level == libc::SOL_SOCKET && (*at).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*at).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(at).cast::<i32>();
                for index in 0..bytes / size_of::<i32>() {
                    descriptors.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            at = libc::CMSG_NXTHDR(&raw const header, at);
        }
        (got, header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0)
    };
    if cut {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet is too long"));
    }
    Ok((usize::try_from(got).map_err(io::Error::other)?, descriptors))
}

/// Brings the loopback interface of this network up.
pub(in crate::sandbox) fn loopback_up() -> io::Result<()> {
    // SAFETY: takes no pointer.
    let socket = owned(check(libc::c_long::from(unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
    }))?)?;
    // SAFETY: ifreq is plain bytes, for which zeroes are values; it lives through the call, which only reads it.
    check(libc::c_long::from(unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as _;
        request.ifr_name[1] = b'o' as _;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as _;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    }))
    .map(drop)
}
