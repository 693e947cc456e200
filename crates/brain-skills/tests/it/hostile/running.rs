//! The section "Running a skill": refused by the kernel or absent, host untouched.

use super::{Case, REFUSED};

super::cases! { RUNNING:
    host_files => Case {
        name: "host files and `/proc/1`",
        tried: "read, list and change files, devices and processes of the host; climb out; open by handle",
        stopped_by: "own tree of files, own `/proc`, Landlock, seccomp",
        source: include_str!("programs/host_files.py"),
        ..REFUSED
    },
    symlinks => Case {
        name: "a symlink to a host file",
        tried: "links in `/tmp`, in a writable mount and in the bundle itself; hard links",
        stopped_by: "own tree of files, Landlock",
        source: include_str!("programs/symlinks.py"),
        ..REFUSED
    },
    own_code => Case {
        name: "writing its own code directory",
        tried: "write, replace, rename, remove, reopen, map, change modes and owners; also of the system",
        stopped_by: "read-only mounts, Landlock",
        source: include_str!("programs/own_code.py"),
        ..REFUSED
    },
    tracing => Case {
        name: "ptrace and process_vm calls",
        tried: "trace, read, write and take from its parent, the first process, and one of the host",
        stopped_by: "seccomp (kills)",
        source: include_str!("programs/tracing.py"),
        ..REFUSED
    },
    signals => Case {
        name: "signalling host processes",
        tried: "kill, stop, limit, and reschedule a process of the host; signals to the first process",
        stopped_by: "own table of processes, Landlock's scopes",
        source: include_str!("programs/signals.py"),
        ..REFUSED
    },
    io_uring => Case {
        name: "io_uring",
        tried: "all three calls",
        stopped_by: "seccomp (absent)",
        source: include_str!("programs/io_uring.py"),
        ..REFUSED
    },
    foreign_tables => Case {
        name: "the 32-bit and x32 system call tables",
        tried: "machine code with `int 0x80`, and with numbers of the x32 table",
        stopped_by: "seccomp (kills)",
        source: include_str!("programs/foreign_tables.py"),
        ..REFUSED
    },
    namespaces => Case {
        name: "a new user namespace",
        tried: "unshare, clone and clone3, for each kind of namespace",
        stopped_by: "seccomp",
        source: include_str!("programs/namespaces.py"),
        ..REFUSED
    },
    mounting => Case {
        name: "mount, setns, pivot_root",
        tried: "the old calls and the new ones, chroot, and descriptors of namespaces",
        stopped_by: "seccomp (kills), no capabilities",
        source: include_str!("programs/mounting.py"),
        ..REFUSED
    },
    terminals => Case {
        name: "terminal injection (TIOCSTI, TIOCLINUX)",
        tried: "on each descriptor, also with more bits than the kernel reads; opening a terminal",
        stopped_by: "seccomp, own `/dev`, own session",
        source: include_str!("programs/terminals.py"),
        ..REFUSED
    },
    sockets => Case {
        name: "abstract, pathname, vsock, netlink, raw and packet sockets",
        tried: "every family; addresses of the host's sockets, one of them in a mount, used on ends of its own pairs",
        stopped_by: "seccomp, own network, Landlock's scopes",
        source: include_str!("programs/sockets.py"),
        ..REFUSED
    },
    sockets_with_egress => Case {
        name: "the same, where it may reach a host",
        tried: "every family but TCP; TCP to a port of the host itself; addresses of the host's sockets as above",
        stopped_by: "seccomp, own network, Landlock",
        source: include_str!("programs/sockets.py"),
        egress: true,
        ..REFUSED
    },
    kernel_doors => Case {
        name: "keyctl, bpf, perf, userfaultfd",
        tried: "several operations of each",
        stopped_by: "seccomp (refuses or kills)",
        source: include_str!("programs/kernel_doors.py"),
        ..REFUSED
    },
    descriptors => Case {
        name: "a leaked descriptor (only 0 to 2 are open)",
        tried: "every number to 4095, while the brain holds one open that programs inherit",
        stopped_by: "the launcher closes them",
        source: include_str!("programs/descriptors.py"),
        ..REFUSED
    },
    environment => Case {
        name: "a secret in the environment",
        tried: "its own and that of every process it sees, while the brain has a secret in its own",
        stopped_by: "the launcher starts with none",
        source: include_str!("programs/environment.py"),
        ..REFUSED
    },
    passed_descriptors => Case {
        name: "a descriptor passed over a socket",
        tried: "receive on 0 to 2; ask sockets of the host; send one away by an end of its own pair",
        stopped_by: "pipes for standard streams, seccomp",
        source: include_str!("programs/passed_descriptors.py"),
        ..REFUSED
    },
    executing => Case {
        name: "executing from memory",
        tried: "memfd, execveat, files it wrote, the loader, mappings; set-user-id files for the outside",
        stopped_by: "seccomp, mounts without execution, Landlock",
        source: include_str!("programs/executing.py"),
        ..REFUSED
    },
    cgroups => Case {
        name: "writing cgroup files",
        tried: "by path, by a mount, by a new namespace",
        stopped_by: "own tree of files, seccomp",
        source: include_str!("programs/cgroups.py"),
        ..REFUSED
    },
    shared_memory => Case {
        name: "System V and POSIX shared memory",
        tried: "memory, semaphores and queues of both",
        stopped_by: "seccomp, own `/dev`, own IPC namespace",
        source: include_str!("programs/shared_memory.py"),
        ..REFUSED
    },
}
