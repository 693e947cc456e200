//! A short run of `cargo xtask chaos` with a fixed seed: nothing is lost, nothing is done twice, nothing stays stuck.

use std::process::Command;

use serde_json::Value;

#[test]
fn chaos_of_a_fixed_seed_violates_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args([
            "chaos",
            "--minutes",
            "0.6",
            "--seed",
            "7",
            "--output",
            "json",
            "--brain",
        ])
        .arg(brain_testkit::brain_bin())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report:\n{said}"));
    assert!(
        output.status.success() && report["violations"].as_array().is_some_and(Vec::is_empty),
        "{said}\n{report:#}"
    );
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    assert!(number(&report["faults"]) >= 8, "{report:#}");
    assert!(report["kinds"].as_array().unwrap().len() >= 6, "{report:#}");
    assert!(number(&report["work"]["completed"]) >= 200, "{report:#}");
    assert!(
        number(&report["recoveryMaxMs"]) < number(&report["recoveryLimitMs"]),
        "{report:#}"
    );
}
