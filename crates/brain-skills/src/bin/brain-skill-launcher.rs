//! The launcher alone: for tests, and for whoever wants less than the whole brain in the first process of each sandbox.
//!
//! Invariants: it does nothing unless a brain started it.

fn main() -> std::process::ExitCode {
    brain_skills::sandbox::launcher::run_if_asked();
    std::process::ExitCode::FAILURE
}
