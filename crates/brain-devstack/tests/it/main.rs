//! The servers of the development stack, started for real.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod folder;
mod postgres;
mod s3;
mod valkey;

use brain_devstack::Binaries;

fn binaries() -> Binaries {
    Binaries::locate_or_install(&|_| ()).unwrap()
}
