//! The tree of files that a confined program sees: the lists to review, and how the tree is put together.
//!
//! Invariants: everything but `/tmp` and the writable mounts is read-only; nothing has set-user-id programs or devices, but
//! for five harmless ones; only what the system brings and the skill itself can be executed.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, symlink},
        },
    },
    path::{Component, Path, PathBuf},
};

use super::{
    landlock::Use,
    mechanism::Mechanism,
    plan::{Failure, Plan},
    sys::{
        c_string,
        mount::{self, attribute},
    },
};

/// Programs and libraries of the host, as far as they are there; links stay links.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];
/// Settings of the host that programs need: where libraries are, which certificates count, what time it is.
const SETTINGS: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/alternatives",
    "/etc/localtime",
];
/// Devices that give nothing away.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// Links in `/dev` to what each process has open.
const OPEN_FILES: &[(&str, &str)] = &[
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];
/// Where programs are looked for.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Whether a text can name a program: a path that stays below where it starts, or the name of an interpreter.
pub(super) fn is_name(name: &str) -> bool {
    let normal = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    !name.is_empty() && Path::new(name).components().all(normal)
}

/// One part of the tree, taken from the host.
#[derive(Debug)]
enum Part {
    Link(PathBuf),
    Directory(OwnedFd),
    File(OwnedFd),
}

/// All parts of the tree that come from the host, with their places relative to the root.
#[derive(Debug)]
pub(super) struct Parts(Vec<(PathBuf, Part)>);

impl Parts {
    /// Takes them: copies of mounts, already restricted, that nobody sees yet.
    pub(super) fn take(plan: &Plan) -> Result<Self, Failure> {
        let read_only = attribute::READ_ONLY | attribute::NO_SETUID | attribute::NO_DEVICES;
        let mut parts = Vec::new();
        let system = SYSTEM.iter().chain(SETTINGS).map(Path::new);
        for path in system.chain(plan.system.iter().map(PathBuf::as_path)) {
            if let Some(part) = take(path, read_only)? {
                parts.push((inside(path), part));
            }
        }
        for path in DEVICES.iter().map(Path::new) {
            let harmless = attribute::NO_SETUID | attribute::NO_EXECUTE;
            if let Some(part) = take(path, harmless)? {
                parts.push((inside(path), part));
            }
        }
        parts.push(("skill".into(), required(&plan.code, read_only)?));
        for (host, place, writable) in &plan.mounts {
            let writing = if *writable { 0 } else { attribute::READ_ONLY };
            let data = attribute::NO_SETUID | attribute::NO_DEVICES | attribute::NO_EXECUTE;
            parts.push((inside(place), required(host, data | writing)?));
        }
        // The outer ones first, so that a mount finds its place inside another.
        parts.sort_by_key(|(place, _)| place.components().count());
        Ok(Self(parts))
    }
}

fn inside(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_path_buf()
}

fn required(path: &Path, attributes: u64) -> Result<Part, Failure> {
    take(path, attributes)?.ok_or_else(|| Failure::program(format!("there is no directory {}", path.display())))
}

fn take(path: &Path, attributes: u64) -> Result<Option<Part>, Failure> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(None);
    };
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(|error| Failure::at(path.display(), &error))?;
        return Ok(Some(Part::Link(target)));
    }
    let tree = c_string(path.as_os_str().as_bytes())
        .and_then(|path| mount::copy_tree(&path))
        .and_then(|tree| mount::restrict(tree.as_fd(), attributes).map(|()| tree))
        .map_err(|error| mounting(&format!("taking {}", path.display()), &error))?;
    Ok(Some(match metadata.is_dir() {
        true => Part::Directory(tree),
        false => Part::File(tree),
    }))
}

fn mounting(what: &str, error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::ENOSYS) => Failure::unconfined(Mechanism::MountNamespace, &format!("{what}: {error}")),
        _ => Failure::at(what, error),
    }
}

/// Puts the tree together in this mount namespace and makes it the root.
pub(super) fn build(plan: &Plan, parts: &Parts, user: (u32, u32)) -> Result<(), Failure> {
    // Any directory that is always there can hold the new root until it is the root.
    const PLACE: &str = "/usr";
    let private = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let mounted = |kind: &str, place: &str, flags, options: &str| {
        let mount = || {
            mount::mount(
                Some(&c_string(kind)?),
                &c_string(place)?,
                flags,
                Some(&c_string(options)?),
            )
        };
        mount().map_err(|error| mounting(&format!("mounting {kind} on {place}"), &error))
    };
    mount::mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE, None)
        .map_err(|error| mounting("making mounts private", &error))?;
    mounted("tmpfs", PLACE, private, "mode=755,size=256k,nr_inodes=512")?;
    std::env::set_current_dir(PLACE).map_err(|error| Failure::at(PLACE, &error))?;

    write_made(user).map_err(|error| Failure::at("writing made files", &error))?;
    for (place, part) in &parts.0 {
        put(place, part).map_err(|error| mounting(&format!("putting /{}", place.display()), &error))?;
    }
    // Of both sizes zero would mean that there is no limit.
    let limits = &plan.limits;
    let (size, files) = (limits.scratch_bytes.max(4096), limits.scratch_files.max(1) + 1);
    mounted(
        "tmpfs",
        "tmp",
        private,
        &format!("mode=1777,size={size},nr_inodes={files}"),
    )?;
    if plan.has(Mechanism::PrivateProc) {
        mounted("proc", "proc", private, "hidepid=invisible,subset=pid")?;
    }
    mount::enter_root().map_err(|error| mounting("changing the root", &error))?;
    std::env::set_current_dir("/").map_err(|error| Failure::at("/", &error))?;
    let remount = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | private;
    mount::mount(None, c"/", remount, None).map_err(|error| mounting("making the root read-only", &error))
}

/// Writes what is in no file of the host.
fn write_made((user, group): (u32, u32)) -> io::Result<()> {
    for directory in ["etc", "dev", "proc", "tmp", "skill", "data"] {
        fs::DirBuilder::new().mode(0o755).create(directory)?;
    }
    let passwd = format!("skill:x:{user}:{group}:skill:/tmp:/bin/sh\n");
    fs::write("etc/passwd", passwd)?;
    fs::write("etc/group", format!("skill:x:{group}:\n"))?;
    fs::write("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")?;
    fs::write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")?;
    for (link, target) in OPEN_FILES {
        symlink(target, link)?;
    }
    Ok(())
}

fn put(place: &Path, part: &Part) -> io::Result<()> {
    if let Some(parent) = place.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    let tree = match part {
        Part::Link(target) => return symlink(target, place),
        Part::Directory(tree) => {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(place)?;
            tree
        }
        Part::File(tree) => {
            fs::write(place, "")?;
            tree
        }
    };
    mount::put_tree(tree.as_fd(), &c_string(place.as_os_str().as_bytes())?)
}

/// The same tree in the words of Landlock.
pub(super) fn uses(plan: &Plan) -> impl Iterator<Item = (&Path, Use)> {
    let executable = SYSTEM.iter().map(Path::new).chain([Path::new("/skill")]);
    let executable = executable.chain(plan.system.iter().map(PathBuf::as_path));
    let readable = ["/etc", "/proc", "/dev"].into_iter().map(Path::new);
    let devices = DEVICES.iter().map(Path::new);
    let mounts = plan.mounts.iter().map(|(_, inside, writable)| {
        let allowed = if *writable { Use::Change } else { Use::Read };
        (inside.as_path(), allowed)
    });
    executable
        .map(|path| (path, Use::Execute))
        .chain(readable.map(|path| (path, Use::Read)))
        .chain(devices.map(|path| (path, Use::Device)))
        .chain([(Path::new("/"), Use::List), (Path::new("/tmp"), Use::Change)])
        .chain(mounts)
}
