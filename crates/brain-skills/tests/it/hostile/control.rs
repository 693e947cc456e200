//! The same programs without a sandbox: what they try goes through there, so that its refusal inside says something.
//!
//! Invariants: they are run as a user who can harm nothing, which is why only root runs this.

use std::{fs, path::Path, process::Command};

use super::{
    bench::Ground,
    canary::{self, Canary},
    is_root,
    running::RUNNING,
};

/// A user of no account.
pub(super) const ORDINARY: u32 = 64_321;

#[test]
fn unconfined_each_program_gets_through_with_something() {
    if !is_root() {
        return; // An ordinary user could signal its own processes, among which is this one.
    }
    let canary = Canary::new();
    for case in RUNNING {
        let ground = Ground::new(case);
        let mut targets = canary.targets().json;
        let place = canary::open_directory();
        fs::set_permissions(place.path(), canary::permissions(0o777)).unwrap();
        targets["scratch"] = place.path().to_str().into();
        targets["out"] = place.path().to_str().into();
        // What System V keeps goes with a namespace of its own.
        let output = Command::new("unshare")
            .args(["--ipc", "setpriv", "--clear-groups"])
            .arg(format!("--reuid={ORDINARY}"))
            .arg(format!("--regid={ORDINARY}"))
            .args(["timeout", "20", "/usr/bin/python3", "program.py", &targets.to_string()])
            .current_dir(ground.code())
            .env("A_NAME_TOO_MANY", "secret")
            .output()
            .unwrap();
        let shared = Path::new("/dev/shm").join(canary.file().parent().unwrap().file_name().unwrap());
        if shared.exists() {
            fs::remove_file(shared).unwrap();
        }
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("\tWRONG"), "{} fails of itself: {said}", case.name);
    }
}
