//! Directories of the host as a source: what is hostile in them is refused, and what changes meanwhile has no effect.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use brain_skills::{
    Stage,
    bundle::{self, Bounds},
    digest::Digest,
};
use rustix::fs::{CWD, RenameFlags};

use super::fixture::*;

#[track_caller]
fn refuses(skill: &Path, says: &str) {
    let home = Home::new();
    let refused = refused(home.install_from("hello@1.0.0", skill));
    assert_eq!(refused.stage, Stage::Archive, "{refused}");
    assert!(refused.reason.contains(says), "{refused}");
    home.untouched();
}

#[test]
fn an_honest_directory_has_the_digest_of_its_archive() {
    let skill = directory("hello@1.0.0");
    fs::create_dir_all(skill.path().join("empty/empty")).unwrap();
    let home = Home::new();
    let record = home.install_from("hello@1.0.0", skill.path()).unwrap();
    assert_eq!(record.digest, packed(skill.path()).1);
    let run = home.root().join("objects").join(record.digest.hex()).join("run");
    assert_eq!(fs::metadata(run).unwrap().permissions().mode() & 0o7777, 0o555);
}

#[test]
fn links_pipes_sockets_and_privileges_are_refused() {
    let skill = directory("hello@1.0.0");
    let odd = skill.path().join("odd");
    let remove = || fs::remove_file(&odd).unwrap();
    symlink("/etc/passwd", &odd).unwrap();
    refuses(skill.path(), "symbolic link");
    remove();
    symlink("/etc", &odd).unwrap();
    refuses(skill.path(), "symbolic link");
    remove();
    fs::hard_link(skill.path().join("run"), &odd).unwrap();
    refuses(skill.path(), "hard link");
    remove();
    assert!(Command::new("mkfifo").arg(&odd).status().unwrap().success());
    refuses(skill.path(), "pipe");
    remove();
    let socket = std::os::unix::net::UnixListener::bind(&odd).unwrap();
    refuses(skill.path(), "socket");
    drop(socket);
    remove();
    fs::write(&odd, "x").unwrap();
    fs::set_permissions(&odd, fs::Permissions::from_mode(0o4755)).unwrap();
    refuses(skill.path(), "setuid");
    remove();
    fs::create_dir(skill.path().join(".git")).unwrap();
    refuses(skill.path(), ".git");
}

/// Only who may give capabilities to files can test this; others are told so by the missing capability.
#[test]
fn file_capabilities_are_refused() {
    let skill = directory("hello@1.0.0");
    let tool = skill.path().join("run");
    // cap_net_raw, permitted and effective, in revision 2 of the attribute.
    let raw: Vec<u8> = [0x0200_0001_u32, 1 << 13, 0, 0, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    match rustix::fs::setxattr(&tool, "security.capability", &raw, rustix::fs::XattrFlags::empty()) {
        Ok(()) => refuses(skill.path(), "capabilities"),
        Err(error) => assert!(
            matches!(error, rustix::io::Errno::PERM | rustix::io::Errno::NOTSUP),
            "{error}"
        ),
    }
}

#[test]
fn a_directory_that_is_a_link_is_refused() {
    let skill = directory("hello@1.0.0");
    let beside = tempfile::tempdir().unwrap();
    let link = beside.path().join("link");
    symlink(skill.path(), &link).unwrap();
    let home = Home::new();
    home.install_from("hello@1.0.0", &link).unwrap_err();
    home.untouched();
}

/// Whoever swaps a directory for a link while it is read or copied gets nothing of what the link points to.
#[test]
fn a_directory_swapped_for_a_link_meanwhile_has_no_effect() {
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("data"), "the secret of the host").unwrap();
    let secret_digest = Digest::of(b"the secret of the host");
    let skill = directory("hello@1.0.0");
    let (lib, link) = (skill.path().join("lib"), secret.path().join("link"));
    fs::create_dir(&lib).unwrap();
    fs::write(lib.join("data"), "of the skill").unwrap();
    symlink(secret.path(), &link).unwrap();
    let stop = AtomicBool::new(false);
    let (mut taken, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            let mut swaps = 0;
            let until = Instant::now() + Duration::from_secs(60);
            while !stop.load(Ordering::Relaxed) && Instant::now() < until {
                rustix::fs::renameat_with(CWD, &lib, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                swaps += 1;
            }
            swaps
        });
        let home = Home::new();
        let path = "lib/data".parse().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while taken < 1000 || refused < 1000 {
            if Instant::now() > until {
                break;
            }
            match bundle::read_directory(skill.path(), Bounds::default()) {
                Ok(found) => {
                    taken += 1;
                    let seen = found.tree.get(&path).map(|file| file.digest);
                    if seen == Some(secret_digest) {
                        stop.store(true, Ordering::Relaxed);
                        panic!("the secret of the host was read");
                    }
                }
                Err(_) => refused += 1,
            }
        }
        for _ in 0..20 {
            if let Ok(record) = home.install_from("hello@1.0.0", skill.path()) {
                let object = home.root().join("objects").join(record.digest.hex());
                assert_eq!(contents(&object)[Path::new("lib/data")], b"of the skill");
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(swapping.join().unwrap() > 0);
    });
    // Both were seen, so it was swapped while it was read.
    assert!(taken > 0 && refused > 0, "{taken} {refused}");
}
