//! Ends: a tree ends as one, by itself, by its holder, or with the brain; and nothing of it is left.

use std::io::Write;

use super::*;

/// Processes that do what they can to live on, and say when they are all there.
const STUBBORN: &str = "trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM HUP; sleep 600; :' & sleep 600; :) & \
                        setsid sleep 600 & \
                        until [ $(grep -lsE '^sleep' /proc/[0-9]*/cmdline | wc -l) = 3 ]; do :; done; \
                        echo ready; wait; sleep 600";

async fn ready(running: &mut Running) {
    let mut line = [0; 6];
    timeout(PATIENCE, running.stdout.read_exact(&mut line))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&line, b"ready\n");
}

#[tokio::test]
async fn killing_ends_the_whole_tree() {
    let fixture = Fixture::new();
    let mut running = fixture
        .sandbox
        .launch(&fixture.program(&["sh", "-c", STUBBORN]))
        .await
        .unwrap();
    ready(&mut running).await;
    if fixture.has(Mechanism::CgroupMemory) {
        assert!(running.tree.memory_bytes().unwrap() > 0);
    }
    running.tree.kill();
    // Its output ends only when every process that holds it is gone.
    let tree = Arc::clone(&running.tree);
    assert_eq!(
        timeout(PATIENCE, Outcome::of(running)).await.unwrap().ended,
        Ended::Killed
    );
    assert_eq!(tree.ended().await, Ended::Killed);
    assert_eq!(tree.memory_bytes(), None);
    tree.kill();
}

#[tokio::test]
async fn dropping_ends_the_whole_tree() {
    let fixture = Fixture::new();
    let mut running = fixture
        .sandbox
        .launch(&fixture.program(&["sh", "-c", STUBBORN]))
        .await
        .unwrap();
    ready(&mut running).await;
    let mut stdout = std::mem::replace(&mut running.stdout, Box::new(tokio::io::empty()));
    drop(running);
    let mut rest = Vec::new();
    timeout(PATIENCE, stdout.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_of_the_program_is_the_end_of_its_children() {
    let fixture = Fixture::new();
    // A child that keeps the output open would keep whoever reads it waiting.
    let outcome = fixture.shell("setsid sleep 600 & echo done").await;
    assert_eq!(outcome.said(), "done\n");
}

#[tokio::test]
async fn stopping_itself_does_not_keep_it() {
    let fixture = Fixture::new();
    let mut running = fixture
        .sandbox
        .launch(&fixture.program(&["sh", "-c", "echo ready; kill -STOP 0; sleep 600"]))
        .await
        .unwrap();
    ready(&mut running).await;
    running.tree.kill();
    assert_eq!(timeout(PATIENCE, running.tree.ended()).await.unwrap(), Ended::Killed);
}

#[tokio::test]
async fn zombies_are_reaped() {
    let fixture = Fixture::new();
    // Each grandchild is left to the first process; without reaping, none could be made after a while.
    let script = "for n in $(seq 200); do (true & true); done; echo done";
    assert_eq!(fixture.shell(script).await.said(), "done\n");
}

#[tokio::test]
async fn a_hundred_at_a_time_end_well_and_leave_nothing() {
    // With groups of their own, as the other tests have theirs at the same time.
    let group = "studio-brain-skills-hundred";
    let settings = Settings {
        group: group.into(),
        standby: 0,
        ..settings()
    };
    let fixture = Fixture::with(settings);
    let all = (0..100).map(|n| {
        let (sandbox, program) = (
            fixture.sandbox.clone(),
            fixture.program(&["sh", "-c", &format!("echo {n}")]),
        );
        tokio::spawn(async move { Outcome::of(sandbox.launch(&program).await.unwrap()).await.said() })
    });
    for (n, one) in all.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(timeout(PATIENCE, one).await.unwrap().unwrap(), format!("{n}\n"));
    }
    // What is left is the directory of this brain, which is empty, and goes with the sandbox.
    let own = groups(group);
    assert_eq!(own.is_empty(), !fixture.has(Mechanism::CgroupPids));
    assert!(own.iter().all(|group| below(group).is_empty()), "{own:?}");
    drop(fixture);
    assert!(groups(group).is_empty());
}

#[tokio::test]
async fn a_killed_brain_takes_its_programs_along_and_the_next_one_clears_up() {
    // What a killed test leaves there goes with this.
    let directory = tempfile::Builder::new()
        .permissions(permissions(0o755))
        .tempdir()
        .unwrap();
    let mut brain = tokio::process::Command::new(std::env::current_exe().unwrap())
        .env("TMPDIR", directory.path())
        .args([
            "--exact",
            "--ignored",
            "--nocapture",
            "sandbox::ending::brain_to_be_killed",
        ])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdout = brain.stdout.take().unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(UP) {
        let mut bytes = [0; 1024];
        let length = timeout(PATIENCE, stdout.read(&mut bytes)).await.unwrap().unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&said));
        said.extend(&bytes[..length]);
    }
    let pid = brain.id().unwrap();
    wait_for_sleepers(pid, 3).await;
    brain.start_kill().unwrap();
    brain.wait().await.unwrap();
    wait_for_sleepers(pid, 0).await;
    let left = || {
        groups(&settings_of_killed().group)
            .into_iter()
            .filter(|path| path.to_string_lossy().contains(&format!("brain-{pid}-")))
            .count()
    };
    if is_root() {
        assert!(left() > 0, "a killed brain cannot have removed its own groups");
        // Its processes are on their way out; a start waits for that.
        drop(Sandbox::new(settings_of_killed()).unwrap());
        assert_eq!(left(), 0);
    }
}

/// What the test above starts and kills.
#[tokio::test]
#[ignore = "run by another test, which kills it"]
async fn brain_to_be_killed() {
    let fixture = Fixture::with(settings_of_killed());
    let script = STUBBORN.replace("600", &seconds(std::process::id()));
    let mut running = fixture
        .sandbox
        .launch(&fixture.program(&["sh", "-c", &script]))
        .await
        .unwrap();
    ready(&mut running).await;
    writeln!(std::io::stdout(), "{UP}").unwrap();
    running.tree.ended().await;
}

/// What the brain to be killed says when its program is there.
const UP: &str = "the program is up";

/// For how long the programs of one brain sleep: a number that no other has.
fn seconds(brain: u32) -> String {
    (7_000_000 + brain).to_string()
}

/// How many processes on this machine sleep for as long as those of this brain.
fn sleepers(brain: u32) -> usize {
    let wanted = format!("sleep\0{}\0", seconds(brain));
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.as_slice() == wanted.as_bytes()).count()
}

/// Waits until so many do; those that outlive their brain would sleep on.
async fn wait_for_sleepers(brain: u32, number: usize) {
    let waited = timeout(PATIENCE, async {
        while sleepers(brain) != number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(
        waited.await.is_ok(),
        "there are still {} and not {number}",
        sleepers(brain)
    );
}

/// With groups of their own, as the other tests clear up whatever is left when they start.
fn settings_of_killed() -> Settings {
    Settings {
        group: "studio-brain-skills-killed".into(),
        ..settings()
    }
}

/// The directories of all brains below this name.
fn groups(name: &str) -> Vec<PathBuf> {
    let hierarchies = ["", "memory", "pids", "cpu"].map(|hierarchy| PathBuf::from("/sys/fs/cgroup").join(hierarchy));
    hierarchies
        .into_iter()
        .flat_map(|path| below(&path.join(name)))
        .collect()
}

/// The directories in a directory.
fn below(path: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
