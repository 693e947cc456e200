//! All cases in one go, as root and as an ordinary user, between two looks at the host.
//!
//! Invariants: whoever looks at the host is another process than whoever makes the attacks, and does not share its fate; the
//! brain under attack holds a descriptor that programs inherit, and a secret in its environment.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    bench::{Bench, Observed},
    brain,
    canary::{self, Canary, Targets},
    control::ORDINARY,
    exhausting::EXHAUSTING,
    is_root,
    running::RUNNING,
};

/// What came of all attacks by one user.
pub(super) struct Round {
    /// The user, in words.
    pub(super) user: &'static str,
    /// What was seen of each case.
    pub(super) seen: Vec<Observed>,
    /// What is not as it was on the host.
    pub(super) harm: Vec<String>,
}

/// Makes all attacks: where this is root, as root and as an ordinary user.
pub(super) fn rounds() -> Vec<Round> {
    if is_root() {
        return vec![round("root", None), round("an ordinary user", Some(ORDINARY))];
    }
    vec![round("an ordinary user", None)]
}

fn round(user: &'static str, id: Option<u32>) -> Round {
    let mut canary = Canary::new();
    let place = canary::open_directory();
    let copy = |name: &str, from: &Path| -> PathBuf {
        // The user may not be allowed to where these are.
        let to = place.path().join(name);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, canary::permissions(0o755)).unwrap();
        to
    };
    let tests = copy("tests", &env::current_exe().unwrap());
    let launcher = copy("launcher", Path::new(env!("CARGO_BIN_EXE_brain-skill-launcher")));
    let temporary = place.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    fs::set_permissions(&temporary, canary::permissions(0o777)).unwrap();
    let report = temporary.join("report");
    let group = format!("studio-brain-hostile-{}", place.path().file_name().unwrap().display());
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();

    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 9<\"$HOSTILE_FILE\"; exec \"$0\" \"$@\""])
        .arg(&tests)
        .args(["--exact", "--ignored", "--nocapture", "hostile::suite::every_case"])
        .env(canary::VARIABLE, canary.variable())
        .env("HOSTILE_FILE", canary.file())
        .env("HOSTILE_SECRET", "a secret of the brain")
        .env("HOSTILE_REPORT", &report)
        .env("HOSTILE_LAUNCHER", launcher)
        .env("HOSTILE_GROUP", &group)
        .env("TMPDIR", &temporary)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some(id) = id {
        command.uid(id).gid(id);
    }
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the attacks as {user} do not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(ended.success(), "the attacks as {user} could not be made");
    let seen = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();

    let mut harm = canary.harm();
    let mut check = |so: bool, what: String| {
        if !so {
            harm.push(what);
        }
    };
    check(mounts() == before, "mounts came or went".into());
    let names = canary::names(&temporary);
    check(
        names == ["report"],
        format!("files are left in the temporary directory: {names:?}"),
    );
    for token in ["hostile-", "orphan-of-"] {
        let token = format!("{token}{}", child.id());
        check(canary::processes(&token).is_empty(), "processes are left".into());
    }
    let place = place.path().to_str().unwrap();
    check(canary::processes(place).is_empty(), "launchers are left".into());
    for directory in groups(&group) {
        // The directory of all brains stays, empty.
        let removed = fs::remove_dir(&directory);
        check(
            removed.is_ok(),
            format!("control groups are left in {}", directory.display()),
        );
    }
    Round { user, seen, harm }
}

/// Where control groups of this name are.
fn groups(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut places: Vec<(PathBuf, u32)> = vec![("/sys/fs/cgroup".into(), 0)];
    while let Some((place, depth)) = places.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && entry.file_name() == name => found.push(path),
                Ok(kind) if kind.is_dir() && depth < 5 => places.push((path, depth + 1)),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn every_case_holds_for_every_user_and_the_host_is_untouched() {
    for round in rounds() {
        assert_eq!(round.harm, Vec::<String>::new(), "{}", round.user);
        let names: Vec<&str> = round.seen.iter().map(|seen| seen.name.as_str()).collect();
        let cases: Vec<&str> = RUNNING
            .iter()
            .chain(EXHAUSTING)
            .map(|case| case.name)
            .chain([KILLED])
            .collect();
        assert_eq!(names, cases);
        for seen in &round.seen {
            assert!(seen.wrong.is_empty(), "as {}: {seen:#?}", round.user);
        }
    }
}

/// The case that is no program.
pub(super) const KILLED: &str = "the brain itself being killed";

/// What [`rounds`] starts.
#[tokio::test]
#[ignore = "run by another test, which looks at the host before and afterwards"]
async fn every_case() {
    let mut bench = Bench::new(Targets::given().unwrap()).await;
    let mut all = Vec::new();
    for case in RUNNING.iter().chain(EXHAUSTING) {
        all.push(bench.attack(case).await);
    }
    drop(bench);
    all.push(Observed {
        name: KILLED.into(),
        ended: "it was killed".into(),
        answers: Default::default(),
        wrong: brain::kill().await,
        missing: None,
    });
    fs::write(env::var("HOSTILE_REPORT").unwrap(), serde_json::to_vec(&all).unwrap()).unwrap();
}
