//! Which system calls a confined program may make: the tables to review, with a reason for each group.
//!
//! Invariants: what no table names is refused with EPERM; what [`KILLED`] names ends the program; no allowed call makes a
//! namespace, a mount, a device or a way to the memory of another process.

use libc::c_long;

/// Calls that are allowed with any arguments, for one reason.
pub(super) struct Group {
    /// Why programs need them, and why they are harmless.
    #[allow(
        dead_code,
        reason = "for those who review the tables; a test asks for one in every entry"
    )]
    pub(super) reason: &'static str,
    /// The calls.
    pub(super) calls: &'static [c_long],
}

/// What must hold of one argument.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    /// Its lower half is this number.
    Is(u32),
    /// Of its lower half, none of these bits is set.
    None(u32),
    /// Of its lower half, the bits of the first are those of the second.
    Bits(u32, u32),
    /// All of it, and none of these bits is set.
    NoneWide(u64),
}

/// A call that is allowed if one of the alternatives holds: each is a list of arguments, by position, and their tests.
pub(super) struct Conditional {
    /// The call.
    pub(super) call: c_long,
    /// Why so.
    #[allow(
        dead_code,
        reason = "for those who review the tables; a test asks for one in every entry"
    )]
    pub(super) reason: &'static str,
    /// The alternatives.
    pub(super) alternatives: &'static [&'static [(u8, Test)]],
}

macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name),*] };
}

/// What every program may do.
pub(super) const ALLOWED: &[Group] = &[
    Group {
        reason: "reading and writing what is open; what may be opened is decided by mounts and Landlock",
        calls: calls![SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev SYS_preadv2
            SYS_pwritev2 SYS_lseek SYS_close SYS_close_range SYS_dup SYS_dup3 SYS_fcntl SYS_ftruncate SYS_fallocate
            SYS_fsync SYS_fdatasync SYS_sync_file_range SYS_fadvise64 SYS_readahead SYS_sendfile SYS_copy_file_range
            SYS_fstat SYS_fstatfs SYS_flock SYS_pipe2 SYS_getdents64],
    },
    Group {
        reason: "files by name, below a root that is read-only but for the temporary part",
        calls: calls![SYS_newfstatat SYS_statx SYS_faccessat SYS_faccessat2 SYS_readlinkat SYS_mkdirat SYS_unlinkat
            SYS_renameat SYS_renameat2 SYS_linkat SYS_symlinkat SYS_utimensat SYS_truncate SYS_statfs SYS_chdir SYS_fchdir
            SYS_getcwd SYS_umask SYS_fchownat SYS_fchown SYS_getxattr SYS_lgetxattr SYS_fgetxattr SYS_listxattr
            SYS_llistxattr SYS_flistxattr SYS_inotify_init1 SYS_inotify_add_watch SYS_inotify_rm_watch],
    },
    Group {
        reason: "memory of its own; pages that are written and executed are how compilers at run time work",
        calls: calls![SYS_mmap SYS_munmap SYS_mprotect SYS_mremap SYS_madvise SYS_brk SYS_msync SYS_mincore SYS_mlock
            SYS_munlock SYS_membarrier],
    },
    Group {
        reason: "processes and threads of its own, in its own process table and limited in number",
        calls: calls![SYS_execve SYS_exit SYS_exit_group SYS_wait4 SYS_waitid SYS_kill SYS_tkill SYS_tgkill
            SYS_pidfd_open SYS_pidfd_send_signal SYS_getpid SYS_getppid SYS_gettid SYS_getpgid SYS_setpgid SYS_getsid
            SYS_setsid SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getgroups SYS_getresuid SYS_getresgid
            SYS_set_tid_address SYS_set_robust_list SYS_get_robust_list SYS_futex SYS_rseq SYS_restart_syscall
            SYS_capget],
    },
    Group {
        reason: "signals of its own",
        calls: calls![SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigpending
            SYS_rt_sigtimedwait SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_sigaltstack],
    },
    Group {
        reason: "how it is scheduled; none of these gives more than the limits leave",
        calls: calls![SYS_sched_yield SYS_sched_getaffinity SYS_sched_setaffinity SYS_sched_getparam
            SYS_sched_getscheduler SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_getpriority
            SYS_setpriority SYS_getcpu],
    },
    Group {
        reason: "its limits and what it used; a limit can be lowered, never raised",
        calls: calls![SYS_getrlimit SYS_setrlimit SYS_prlimit64 SYS_getrusage SYS_times SYS_sysinfo SYS_uname],
    },
    Group {
        reason: "clocks to read and timers of its own",
        calls: calls![SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep SYS_gettimeofday
            SYS_timer_create SYS_timer_settime SYS_timer_gettime SYS_timer_getoverrun SYS_timer_delete SYS_timerfd_create
            SYS_timerfd_settime SYS_timerfd_gettime SYS_getitimer SYS_setitimer],
    },
    Group {
        reason: "waiting for many things at once",
        calls: calls![SYS_ppoll SYS_pselect6 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2
            SYS_eventfd2 SYS_signalfd4],
    },
    Group {
        reason: "random numbers",
        calls: calls![SYS_getrandom],
    },
    Group {
        reason: "using connected sockets, of which it has only pairs of its own and, with egress, TCP to the proxy",
        calls: calls![SYS_recvfrom SYS_recvmsg SYS_recvmmsg SYS_shutdown SYS_getsockopt SYS_getsockname SYS_getpeername],
    },
];

/// The older names of the same calls, which only this architecture has.
#[cfg(target_arch = "x86_64")]
pub(super) const ALLOWED_HERE: &[Group] = &[Group {
    reason: "older names of calls above",
    calls: calls![SYS_stat SYS_lstat SYS_access SYS_readlink SYS_getdents SYS_mkdir SYS_rmdir SYS_unlink SYS_rename
        SYS_link SYS_symlink SYS_utime SYS_utimes SYS_futimesat SYS_chown SYS_lchown SYS_dup2 SYS_pipe SYS_poll
        SYS_select SYS_epoll_create SYS_epoll_wait SYS_inotify_init SYS_eventfd SYS_signalfd SYS_alarm SYS_pause SYS_time
        SYS_getpgrp SYS_fork SYS_vfork SYS_arch_prctl],
}];
/// The older names of the same calls, of which this architecture has none.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const ALLOWED_HERE: &[Group] = &[];

/// Every flag of clone(2) that makes a namespace.
const NEW_NAMESPACES: u64 = 0x7E02_0080;
/// The bits of a mode that let a file run as its owner or group: it would be the brain's, on the host.
const SET_ID: u32 = 0o6000;
/// O_CREAT, and O_TMPFILE, whose files have no name but a mode.
const CREATE: u32 = 0o20_000_100;
const FAST_OPEN: u32 = 0x2000_0000;
/// The flags that may be joined to the kind of a socket do not matter.
const KIND: u32 = !0o2_004_000;

/// What every program may do with some arguments.
pub(super) const CONDITIONAL: &[Conditional] = &[
    Conditional {
        call: libc::SYS_clone,
        reason: "new processes and threads, no new namespaces",
        alternatives: &[&[(0, Test::NoneWide(NEW_NAMESPACES))]],
    },
    Conditional {
        call: libc::SYS_openat,
        reason: "no new file that runs as its owner",
        alternatives: &[&[(2, Test::None(CREATE))], &[(3, Test::None(SET_ID))]],
    },
    Conditional {
        call: libc::SYS_fchmod,
        reason: "no file that runs as its owner",
        alternatives: &[&[(1, Test::None(SET_ID))]],
    },
    Conditional {
        call: libc::SYS_fchmodat,
        reason: "no file that runs as its owner",
        alternatives: &[&[(2, Test::None(SET_ID))]],
    },
    Conditional {
        call: libc::SYS_ioctl,
        reason: "whether it is a terminal, its size, how much can be read, blocking and closing: never TIOCSTI or TIOCLINUX",
        alternatives: &[
            &[(1, Test::Is(0x5401))], // TCGETS
            &[(1, Test::Is(0x5413))], // TIOCGWINSZ
            &[(1, Test::Is(0x541B))], // FIONREAD
            &[(1, Test::Is(0x5421))], // FIONBIO
            &[(1, Test::Is(0x5450))], // FIONCLEX
            &[(1, Test::Is(0x5451))], // FIOCLEX
        ],
    },
    Conditional {
        call: libc::SYS_prctl,
        reason: "names of threads and mappings, and what it is; nothing about capabilities, tracing or filters",
        alternatives: &[
            &[(0, Test::Is(1))],           // PR_SET_PDEATHSIG
            &[(0, Test::Is(2))],           // PR_GET_PDEATHSIG
            &[(0, Test::Is(3))],           // PR_GET_DUMPABLE
            &[(0, Test::Is(15))],          // PR_SET_NAME
            &[(0, Test::Is(16))],          // PR_GET_NAME
            &[(0, Test::Is(21))],          // PR_GET_SECCOMP
            &[(0, Test::Is(23))],          // PR_CAPBSET_READ
            &[(0, Test::Is(38))],          // PR_SET_NO_NEW_PRIVS
            &[(0, Test::Is(39))],          // PR_GET_NO_NEW_PRIVS
            &[(0, Test::Is(0x5356_4D41))], // PR_SET_VMA
        ],
    },
    Conditional {
        call: libc::SYS_socketpair,
        reason: "two ends of its own, which interpreters wake themselves with; not of datagrams, which an address sends elsewhere",
        alternatives: &[
            &[(0, Test::Is(1)), (1, Test::Bits(KIND, 1))], // SOCK_STREAM
            &[(0, Test::Is(1)), (1, Test::Bits(KIND, 5))], // SOCK_SEQPACKET
        ],
    },
    Conditional {
        call: libc::SYS_sendto,
        reason: "sending on connected sockets, without TCP Fast Open",
        alternatives: &[&[(3, Test::None(FAST_OPEN))]],
    },
    Conditional {
        call: libc::SYS_sendmsg,
        reason: "sending on connected sockets, without TCP Fast Open",
        alternatives: &[&[(2, Test::None(FAST_OPEN))]],
    },
    Conditional {
        call: libc::SYS_sendmmsg,
        reason: "sending on connected sockets, without TCP Fast Open",
        alternatives: &[&[(3, Test::None(FAST_OPEN))]],
    },
    Conditional {
        call: libc::SYS_setsockopt,
        reason: "buffers, time-outs and keep-alive of sockets; no filters, no protocols on top, no TCP Fast Open",
        alternatives: &[
            &[(1, Test::Is(1)), (2, Test::Is(2))],   // SO_REUSEADDR
            &[(1, Test::Is(1)), (2, Test::Is(7))],   // SO_SNDBUF
            &[(1, Test::Is(1)), (2, Test::Is(8))],   // SO_RCVBUF
            &[(1, Test::Is(1)), (2, Test::Is(9))],   // SO_KEEPALIVE
            &[(1, Test::Is(1)), (2, Test::Is(13))],  // SO_LINGER
            &[(1, Test::Is(1)), (2, Test::Is(20))],  // SO_RCVTIMEO
            &[(1, Test::Is(1)), (2, Test::Is(21))],  // SO_SNDTIMEO
            &[(1, Test::Is(6)), (2, Test::Is(1))],   // TCP_NODELAY
            &[(1, Test::Is(6)), (2, Test::Is(4))],   // TCP_KEEPIDLE
            &[(1, Test::Is(6)), (2, Test::Is(5))],   // TCP_KEEPINTVL
            &[(1, Test::Is(6)), (2, Test::Is(6))],   // TCP_KEEPCNT
            &[(1, Test::Is(6)), (2, Test::Is(12))],  // TCP_QUICKACK
            &[(1, Test::Is(6)), (2, Test::Is(18))],  // TCP_USER_TIMEOUT
            &[(1, Test::Is(41)), (2, Test::Is(26))], // IPV6_V6ONLY
        ],
    },
];

/// The older names of the same calls, which only this architecture has.
#[cfg(target_arch = "x86_64")]
pub(super) const CONDITIONAL_HERE: &[Conditional] = &[
    Conditional {
        call: libc::SYS_open,
        reason: "no new file that runs as its owner",
        alternatives: &[&[(1, Test::None(CREATE))], &[(2, Test::None(SET_ID))]],
    },
    Conditional {
        call: libc::SYS_creat,
        reason: "no new file that runs as its owner",
        alternatives: &[&[(1, Test::None(SET_ID))]],
    },
    Conditional {
        call: libc::SYS_chmod,
        reason: "no file that runs as its owner",
        alternatives: &[&[(1, Test::None(SET_ID))]],
    },
];
/// The older names of the same calls, of which this architecture has none.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const CONDITIONAL_HERE: &[Conditional] = &[];

/// What a program with egress may do beside that.
pub(super) const EGRESS: &[Conditional] = &[
    Conditional {
        call: libc::SYS_socket,
        reason: "TCP over IPv4 and IPv6, and nothing else: no UDP, no MPTCP, no raw, packet, netlink, vsock or unix sockets",
        alternatives: &[
            &[(0, Test::Is(2)), (1, Test::Bits(KIND, 1)), (2, Test::Is(0))],
            &[(0, Test::Is(2)), (1, Test::Bits(KIND, 1)), (2, Test::Is(6))],
            &[(0, Test::Is(10)), (1, Test::Bits(KIND, 1)), (2, Test::Is(0))],
            &[(0, Test::Is(10)), (1, Test::Bits(KIND, 1)), (2, Test::Is(6))],
        ],
    },
    Conditional {
        call: libc::SYS_connect,
        reason: "to the proxy; Landlock knows its port, and the network has nothing else",
        alternatives: &[&[]],
    },
];

/// What libraries ask for and do without when the kernel does not have it: they hear that it does not.
pub(super) const ABSENT: &[c_long] = calls![SYS_clone3 SYS_openat2 SYS_io_uring_setup SYS_io_uring_enter
    SYS_io_uring_register];

/// What no honest program tries: it ends.
pub(super) const KILLED: &[Group] = &[
    Group {
        reason: "the memory and the descriptors of other processes",
        calls: calls![SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_pidfd_getfd SYS_kcmp],
    },
    Group {
        reason: "code in the kernel, and another kernel",
        calls: calls![SYS_bpf SYS_init_module SYS_finit_module SYS_delete_module SYS_kexec_load SYS_kexec_file_load
            SYS_reboot],
    },
    Group {
        reason: "another tree of files or another namespace",
        calls: calls![SYS_mount SYS_umount2 SYS_pivot_root SYS_open_tree SYS_move_mount SYS_fsopen SYS_fsconfig
            SYS_fsmount SYS_fspick SYS_mount_setattr SYS_setns SYS_open_by_handle_at],
    },
    Group {
        reason: "what only the administrator of the whole machine does",
        calls: calls![SYS_swapon SYS_swapoff SYS_acct SYS_quotactl SYS_settimeofday SYS_clock_settime SYS_syslog
            SYS_vhangup SYS_userfaultfd],
    },
];
