//! Programs that use up what they may use: each ends, and says by which limit.

use super::*;

/// Memory in one process, touched so that it counts.
const HOG: &str = "import sys\nblocks = []\nwhile True: blocks.append(bytearray(8 << 20))";

#[tokio::test]
async fn memory_is_limited() {
    let mut fixture = Fixture::new();
    fixture.limits.memory_bytes = 64 << 20;
    let ended = fixture.python(HOG).await.ended;
    if fixture.has(Mechanism::CgroupMemory) {
        assert_eq!(ended, Ended::Limit(Limit::Memory));
        let child = fixture.shell(&format!("python3 -c '{HOG}'; exit 3")).await.ended;
        assert_eq!(child, Ended::Limit(Limit::Memory));
    } else {
        // Each process is limited for itself, and hears of it.
        assert_eq!(ended, Ended::Exited(1));
    }
}

#[tokio::test]
async fn files_in_memory_count_and_are_limited() {
    let mut fixture = Fixture::new();
    fixture.limits.scratch_bytes = 4 << 20;
    fixture.limits.scratch_files = 100;
    let outcome = fixture.shell("cat /dev/zero > /tmp/big").await;
    assert_ne!(outcome.ended, Ended::Exited(0));
    let sizes = "i=0; while head -c 1000000 /dev/zero > /tmp/$i 2>&-; do i=$((i+1)); done; echo $i";
    let written: u32 = fixture.shell(sizes).await.said().trim().parse().unwrap();
    assert_eq!(written, 4);
    let files = "import os\ntry:\n for n in range(1000): open(f'/tmp/{n}', 'w').close()\nexcept OSError as e: print(n, e.errno)";
    assert_eq!(fixture.python(files).await.said(), "100 28\n");
}

#[tokio::test]
async fn processor_time_is_limited() {
    let mut fixture = Fixture::new();
    fixture.limits.cpu = Duration::from_secs(1);
    assert_eq!(fixture.python("while True: pass").await.ended, Ended::Limit(Limit::Cpu));
    let deaf = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass";
    assert_eq!(fixture.python(deaf).await.ended, Ended::Limit(Limit::Cpu));
}

#[tokio::test]
async fn a_fork_bomb_stays_within_its_number_of_processes() {
    let mut fixture = Fixture::new();
    fixture.limits.processes = 16;
    let script = "import os, sys, time\nn = 0\nwhile n < 1000:\n try:\n  if os.fork() == 0: time.sleep(60); os._exit(0)\n  n += 1\n except OSError: break\nprint(n)";
    let forked: u32 = fixture.python(script).await.said().trim().parse().unwrap();
    assert!((14..=18).contains(&forked), "{forked}");
}

#[tokio::test]
async fn descriptors_are_limited() {
    let mut fixture = Fixture::new();
    fixture.limits.open_files = 32;
    let script = "import os\nn = 0\ntry:\n while True: os.dup(0); n += 1\nexcept OSError as e: print(n, e.errno)";
    assert_eq!(fixture.python(script).await.said(), "29 24\n");
}

#[tokio::test]
async fn a_forbidden_call_ends_it() {
    let fixture = Fixture::new();
    let script = "import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)";
    assert_eq!(fixture.python(script).await.ended, Ended::Forbidden);
}

#[tokio::test]
async fn signals_of_its_own_are_told_apart() {
    let fixture = Fixture::new();
    assert_eq!(fixture.shell("kill -TERM $$").await.ended, Ended::Signalled(15));
    assert_eq!(fixture.shell("kill -KILL $$").await.ended, Ended::Signalled(9));
}
