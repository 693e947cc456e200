//! Hostile programs against the sandbox: one case for each line of the list of attacks, as root and as an ordinary user.
//!
//! Each case says what is tried, how the program must end, and what stops it; the tries are Python programs in
//! `hostile/programs`, which make system calls directly where a library would get in the way, and say what each answered. Invariants: a case
//! holds only if every single try got an answer that it must get; what a case leaves behind makes it fail.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking; the tables are for people"
)]

mod bench;
mod brain;
mod canary;
mod control;
mod crowd;
mod exhausting;
mod neighbours;
mod running;
mod suite;
mod table;

use std::time::Duration;

use brain_skills::{
    launch::{Ended, Limits},
    sandbox::Mechanism,
};

/// Longer than anything here takes; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One attack.
struct Case {
    /// Its name in the list of attacks.
    name: &'static str,
    /// What is tried.
    tried: &'static str,
    /// What stops it.
    stopped_by: &'static str,
    /// The program.
    source: &'static str,
    /// What it may use, where that is not the usual.
    limits: fn(&mut Limits),
    /// Whether it has a way out to some host.
    egress: bool,
    /// When it is over.
    until: Until,
    /// How it must end where every mechanism is there.
    ends: Ended,
    /// A mechanism that not everybody has, and how the program ends without it; none: then nothing stops it.
    depends: Option<(Mechanism, Option<Ended>)>,
}

/// When an attack is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// When the program ends.
    End,
    /// When it says that it is ready, and is killed.
    Ready,
    /// When it has stopped, and is killed.
    Stopped,
}

/// The usual attack: everything it tries is refused, and it ends by itself.
const REFUSED: Case = Case {
    name: "",
    tried: "",
    stopped_by: "",
    source: "",
    limits: |_| {},
    egress: false,
    until: Until::End,
    ends: Ended::Exited(0),
    depends: None,
};

/// Makes a list of cases, and a test of each.
macro_rules! cases {
    ($all:ident: $($name:ident => $case:expr,)*) => {
        /// All cases of this section.
        pub(super) const $all: &[super::Case] = &[$($case),*];
        $(
            #[tokio::test]
            async fn $name() {
                super::bench::holds(&$case).await;
            }
        )*
    };
}
use cases;

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.contains("\nUid:\t0\t")
}
