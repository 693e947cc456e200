//! Ends: a tree ends as one, by itself, by its holder, or with the brain; and nothing of it is left.

use super::*;

/// Processes that do what they can to live on, and say when they are all there.
const STUBBORN: &str = "trap '' TERM HUP INT; (trap '' TERM; setsid sh -c 'trap \"\" TERM HUP; sleep 600' & sleep 600) & \
                        setsid sleep 600 & echo ready; wait; sleep 600";

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
    let fixture = Fixture::new();
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
    assert_eq!(groups_left(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_killed_brain_takes_its_programs_along_and_the_next_one_clears_up() {
    let mut brain = tokio::process::Command::new(std::env::current_exe().unwrap())
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
    while !String::from_utf8_lossy(&said).contains("running") {
        let mut bytes = [0; 1024];
        let length = timeout(PATIENCE, stdout.read(&mut bytes)).await.unwrap().unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&said));
        said.extend(&bytes[..length]);
    }
    let pid = brain.id().unwrap();
    brain.start_kill().unwrap();
    brain.wait().await.unwrap();
    // The programs hold its output too, so this ends when all of them are gone.
    timeout(PATIENCE, stdout.read_to_end(&mut said)).await.unwrap().unwrap();
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
    let mut running = fixture
        .sandbox
        .launch(&fixture.program(&["sh", "-c", STUBBORN]))
        .await
        .unwrap();
    ready(&mut running).await;
    println!("running");
    running.tree.ended().await;
}

/// With groups of their own, as the other tests clear up whatever is left when they start.
fn settings_of_killed() -> Settings {
    Settings {
        group: "studio-brain-skills-killed".into(),
        ..settings()
    }
}

/// All groups of brains that there are below this name.
fn groups(name: &str) -> Vec<PathBuf> {
    let list = |path: PathBuf| {
        std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    let hierarchies = ["", "memory", "pids", "cpu"].map(|name| PathBuf::from("/sys/fs/cgroup").join(name));
    let roots = hierarchies.into_iter().map(|path| path.join(name));
    roots.flat_map(list).filter(|path| path.is_dir()).collect()
}

/// The groups of programs of this process.
fn groups_left() -> Vec<PathBuf> {
    let own = format!("brain-{}-", std::process::id());
    let own = groups(&Settings::default().group)
        .into_iter()
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&own));
    let list = |path: PathBuf| {
        std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    own.flat_map(list).filter(|path| path.is_dir()).collect()
}
