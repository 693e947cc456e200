//! Counts primes: a skill that tells how far it is, and stops when its caller no longer wants an answer.
//!
//! Invariant: each request is answered exactly once, also one that was cancelled; the answer keeps the process warm.

use std::{
    io::{self, BufRead as _, Write as _},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::{Value, json};

/// The largest number that may be asked for.
const MAX: u64 = 2_000_000_000;
/// Numbers that are looked at in one go; between two goes it looks whether it was cancelled.
const STRIDE: u64 = 1 << 20;

/// What an error is called, and what it says.
type Failed = (i64, String);

fn main() -> io::Result<()> {
    let (sender, lines) = channel();
    // A thread of its own reads, so that a cancellation is heard while something is worked on.
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            let Ok(message) = serde_json::from_str::<Value>(&line) else {
                return;
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    while let Ok(message) = lines.recv() {
        // Without an id it is a notice, here of a cancellation that came after the answer.
        let Some(id) = message.get("id") else { continue };
        let mut answer = match answer(&message, &lines) {
            Ok(result) => json!({ "result": result }),
            Err((code, message)) => json!({ "error": { "code": code, "message": message } }),
        };
        answer["jsonrpc"] = "2.0".into();
        answer["id"] = id.clone();
        say(&answer)?;
    }
    Ok(())
}

fn answer(message: &Value, lines: &Receiver<Value>) -> Result<Value, Failed> {
    let params = &message["params"];
    match (message["method"].as_str(), params["command"].as_str()) {
        (Some("healthcheck"), _) => Ok(json!({ "ok": true })),
        (Some("execute"), Some("count")) => match params["payload"]["below"].as_u64() {
            Some(below) if below <= MAX => count(below, lines),
            _ => Err((-32602, format!("payload.below must be a whole number up to {MAX}"))),
        },
        _ => Err((-32601, "there is only the command count".to_owned())),
    }
}

/// Counts by a sieve that holds one stride at a time.
fn count(below: u64, lines: &Receiver<Value>) -> Result<Value, Failed> {
    let small = small_primes(below.isqrt());
    let (mut count, mut from) = (0_u64, 2);
    while from < below {
        let to = below.min(from + STRIDE);
        let mut composite = vec![false; (to - from) as usize];
        for prime in small.iter().take_while(|prime| *prime * *prime < to) {
            let first = (prime * prime).max(from.next_multiple_of(*prime));
            for multiple in (first..to).step_by(*prime as usize) {
                composite[(multiple - from) as usize] = true;
            }
        }
        count += composite.iter().filter(|composite| !**composite).count() as u64;
        from = to;
        let told =
            json!({ "jsonrpc": "2.0", "method": "progress", "params": { "fraction": from as f64 / below as f64 } });
        let cancelled = lines.try_iter().any(|message| message["method"] == "cancel");
        if cancelled || say(&told).is_err() {
            return Err((-32800, "cancelled".to_owned()));
        }
    }
    Ok(json!({ "below": below, "primes": count }))
}

fn small_primes(most: u64) -> Vec<u64> {
    let mut primes: Vec<u64> = Vec::new();
    for number in 2..=most {
        if primes
            .iter()
            .take_while(|prime| *prime * *prime <= number)
            .all(|prime| number % prime != 0)
        {
            primes.push(number);
        }
    }
    primes
}

/// One message a line.
fn say(message: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{message}")?;
    out.flush()
}
