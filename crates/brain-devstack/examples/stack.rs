//! Starts a throw-away stack, prints where it is, and stops it at Ctrl-C:
//! `cargo run -p brain-devstack --example stack`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use anyhow::Result;
use brain_devstack::{Binaries, Stack};

#[tokio::main]
async fn main() -> Result<()> {
    let binaries = Binaries::locate_or_install(&|line| eprintln!("{line}"))?;
    let stack = Stack::start(&binaries).await?;
    for (variable, value) in stack.environment() {
        println!("export {variable}={value}");
    }
    eprintln!("running; Ctrl-C stops it");
    tokio::signal::ctrl_c().await?;
    stack.stop().await
}
