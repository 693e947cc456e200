//! The results as a page of the documentation: `cargo test -p brain-skills --test it -- --ignored --nocapture hostile::table`.

use super::{
    bench::Observed,
    exhausting::EXHAUSTING,
    running::RUNNING,
    suite::{self, KILLED, Round},
};

const HEAD: &str = "# Attacks on the sandbox of skills

Hostile programs, written for it, against the sandbox that runs skills: every case of the list of attacks, as root and as an ordinary
user. The tries are in `crates/brain-skills/tests/it/hostile/programs`; where a library would get in the way they make system calls directly.
Each try has to get one of the answers named for it; the same programs, run without the sandbox, get through.

This page is printed by

```sh
cargo test -p brain-skills --test it -- --ignored --exact --nocapture hostile::table::print
```

run as root. The counts say how many tries got which answer: the name of an error, or of the signal that ended whoever tried.
\"So it is\" counts statements that had to be true; `open: None` is the kernel's answer to signals that it then drops.
`cargo test -p brain-skills --test it -- hostile` runs the same cases as tests.
";

#[test]
#[ignore = "prints the results for the documentation"]
fn print() {
    let rounds = suite::rounds();
    println!("{HEAD}");
    println!("## Running a skill\n\nRefused by the kernel or absent, the host untouched.\n");
    head(&rounds);
    for case in RUNNING {
        row(&rounds, case.name, case.tried, case.stopped_by);
    }
    println!(
        "\n## Exhausting resources\n\nThat skill ends with a typed error, everything else goes on: after each case a bystander that ran"
    );
    println!("all the time still answers, and a new program starts and ends well.\n");
    head(&rounds);
    for case in EXHAUSTING {
        row(&rounds, case.name, case.tried, case.stopped_by);
    }
    let tried = "three programs with three deaf children each, in sessions of their own; SIGKILL to their brain";
    row(
        &rounds,
        KILLED,
        tried,
        "the first process watches its brain; the end of the process table",
    );
    println!("\n## The host\n");
    println!(
        "A file with a secret, a process, a port, sockets by path and by abstract name (two of them in a mount that programs see), mounts,"
    );
    println!(
        "control groups, temporary files and processes were looked at before and after all of this, from another process.\n"
    );
    for round in &rounds {
        let found = if round.harm.is_empty() {
            "nothing had changed, nothing was left".into()
        } else {
            round.harm.join("; ")
        };
        println!("- As {}: {found}.", round.user);
    }
}

fn head(rounds: &[Round]) {
    let users: String = rounds.iter().map(|round| format!(" As {} |", round.user)).collect();
    println!("| Case | What is tried |{users} Stopped by |");
    println!("|---|---|{}---|", "---|".repeat(rounds.len()));
}

fn row(rounds: &[Round], name: &str, tried: &str, stopped_by: &str) {
    let cells: String = rounds
        .iter()
        .map(|round| {
            let seen = round.seen.iter().find(|seen| seen.name == name).unwrap();
            format!(" {} |", cell(seen))
        })
        .collect();
    println!("| {name} | {tried} |{cells} {stopped_by} |");
}

fn cell(seen: &Observed) -> String {
    if let Some(missing) = &seen.missing {
        return format!("**not stopped**: `{missing}` is missing");
    }
    if !seen.wrong.is_empty() {
        return format!("**got through**: {}", seen.wrong.join("; ").replace('|', "\\|"));
    }
    let answers: Vec<String> = seen
        .answers
        .iter()
        .map(|(answer, count)| format!("{count} × {answer}"))
        .collect();
    match answers.is_empty() {
        true => seen.ended.clone(),
        false => format!("{}; {}", answers.join(", "), seen.ended).replace("; it exited with code 0", ""),
    }
}
