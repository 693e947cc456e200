//! What others feel while a program is killed in each way: round trips of a warm neighbour, and cold starts.
//!
//! Prints ratios and asserts none: `cargo test --release -p brain-skills --test it -- --ignored --exact --nocapture
//! hostile::neighbours::print`. Invariants: the same neighbour is measured before and meanwhile; a program that ends by itself is
//! started again until enough was measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use brain_skills::{
    launch::{Launch, Running},
    sandbox::Sandbox,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Case, Until,
    bench::{self, Ground},
    canary::Canary,
    exhausting::EXHAUSTING,
};

const ROUND_TRIPS: usize = 2000;
const COLD_STARTS: usize = 60;

/// The middle and the 99th percentile.
struct Figures(Duration, Duration);

impl Figures {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort();
        Self(all[all.len() / 2], all[all.len() * 99 / 100])
    }
}

async fn round_trips(neighbour: &mut Running) -> Figures {
    let mut all = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        neighbour.stdin.write_all(&[b'x'; 256]).await.unwrap();
        neighbour.stdout.read_exact(&mut [0; 256]).await.unwrap();
        all.push(start.elapsed());
        // As calls come: one after another, with a little between them.
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Figures::of(all)
}

async fn cold_starts(sandbox: &Sandbox) -> Figures {
    let mut all = Vec::new();
    for _ in 0..COLD_STARTS {
        let start = Instant::now();
        let running = sandbox.launch(&bench::plain("/usr", &["true"])).await.unwrap();
        running.tree.ended().await;
        all.push(start.elapsed());
    }
    Figures::of(all)
}

/// Runs one attack again and again until it is enough; how often it was killed or ended.
async fn attacks(sandbox: Sandbox, case: &'static Case, enough: Arc<AtomicBool>) -> u32 {
    let canary = Canary::new();
    let mut count = 0;
    while !enough.load(Ordering::Acquire) {
        let ground = Ground::new(case);
        let running = sandbox.launch(&ground.program(case, &canary.targets())).await.unwrap();
        let until = if case.until == Until::Stopped {
            Until::Ready
        } else {
            case.until
        };
        ground.watch(running, until).await;
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and prints for people"]
async fn print() {
    let sandbox = Sandbox::new(bench::settings()).unwrap();
    let mut neighbour = sandbox.launch(&bench::plain("/usr", &["cat"])).await.unwrap();
    println!("| Meanwhile | ended | round trip p50 | p99 | p99 to normal | cold start p50 | p99 | p99 to normal |");
    println!("|---|---|---|---|---|---|---|---|");
    let normal = (round_trips(&mut neighbour).await, cold_starts(&sandbox).await);
    let row = |name: &str, count: u32, (warm, cold): (&Figures, &Figures)| {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let ratio = |one: &Figures, other: &Figures| one.1.as_secs_f64() / other.1.as_secs_f64();
        println!(
            "| {name} | {count} | {:.3} ms | {:.3} ms | {:.2} | {:.1} ms | {:.1} ms | {:.2} |",
            millis(warm.0),
            millis(warm.1),
            ratio(warm, &normal.0),
            millis(cold.0),
            millis(cold.1),
            ratio(cold, &normal.1),
        );
    };
    row("nothing", 0, (&normal.0, &normal.1));
    for case in EXHAUSTING {
        let enough = Arc::new(AtomicBool::new(false));
        let attack = tokio::spawn(attacks(sandbox.clone(), case, Arc::clone(&enough)));
        let warm = round_trips(&mut neighbour).await;
        let cold = cold_starts(&sandbox).await;
        enough.store(true, Ordering::Release);
        let count = attack.await.unwrap();
        row(case.name, count, (&warm, &cold));
    }
}
