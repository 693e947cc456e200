//! A bounded run of `cargo xtask api-fuzz` with a fixed seed: brain answers as its OpenAPI document says.

use std::process::Command;

#[test]
fn brain_answers_as_its_document_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["api-fuzz", "--cases", "3", "--seed", "7", "--brain"])
        .arg(brain_testkit::brain_bin())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    // Nothing was left out.
    assert!(said.contains("Stateful"), "{said}\n{errors}");
}
