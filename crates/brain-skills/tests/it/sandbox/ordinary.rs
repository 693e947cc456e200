//! The same tests as an ordinary user, who has no control groups and no users to give away.

use std::process::Stdio;

use super::*;

/// The variable that names the launcher where it was copied to.
pub(super) const LAUNCHER: &str = "BRAIN_SKILLS_TEST_LAUNCHER";
/// Nobody, on every system.
const NOBODY: u32 = 65534;

#[tokio::test]
async fn everything_holds_for_an_ordinary_user_too() {
    if !is_root() {
        return; // Then the other tests are run as one.
    }
    // Where the binaries are built, an ordinary user may have no way in.
    let directory = tempfile::Builder::new()
        .permissions(permissions(0o755))
        .tempdir()
        .unwrap();
    let scratch = directory.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    std::fs::set_permissions(&scratch, permissions(0o1777)).unwrap();
    let (tests, copy) = (directory.path().join("tests"), directory.path().join("launcher"));
    std::fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    std::fs::copy(launcher(), &copy).unwrap();
    let run = tokio::process::Command::new(&tests)
        .args(["sandbox::", "--skip", "sandbox::ordinary", "--test-threads", "2"])
        .env(LAUNCHER, &copy)
        .env("TMPDIR", &scratch)
        .current_dir(&scratch)
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE * 3, run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("a_forbidden_call_ends_it ... ok"), "{said}");
    let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_is_missing_is_refused_unless_it_may_be() {
    let mut settings = settings();
    settings.users = std::ops::RangeInclusive::new(5, 4);
    if is_root() {
        settings.may_be_missing.remove(&Mechanism::DedicatedUser);
    } else {
        settings.may_be_missing.clear();
    }
    let Err(launch::Error::Unconfined(reason)) = Sandbox::new(settings.clone()) else {
        panic!("a sandbox without a user of its own was made");
    };
    assert!(
        reason.contains("dedicated_user is missing") && reason.contains("run the brain as root"),
        "{reason}"
    );
    let reports = brain_skills::sandbox::check(&settings).unwrap();
    let user = reports
        .iter()
        .find(|report| report.mechanism == Mechanism::DedicatedUser)
        .unwrap();
    assert!(user.required && user.remedy.is_some(), "{user:?}");
}
