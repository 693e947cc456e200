//! Loopback ports: finding a free one, and saying who needs a taken one and how to move it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

/// Free ports are taken from here: below the range from which the usual systems number outgoing connections, so that a
/// server which is stopped and started again on the same port does not find a client's connection sitting on it.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// A port of 127.0.0.1 that nothing listens on right now.
///
/// # Errors
/// When none can be found.
pub fn free_port() -> Result<u16> {
    let width = u64::from(RANGE.end - RANGE.start);
    let start = RandomState::new().hash_one(std::process::id()) % width;
    for step in 0..width {
        let offset = u16::try_from((start + step) % width).context("the range of ports fits 16 bits")?;
        if is_free(RANGE.start + offset) {
            return Ok(RANGE.start + offset);
        }
    }
    bail!("no free port between {} and {} on 127.0.0.1", RANGE.start, RANGE.end)
}

/// Whether nothing listens on this port of 127.0.0.1.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Fails, with the remedy, when `port` is taken.
///
/// # Errors
/// When something listens on the port already, or the port may not be used.
pub fn require_free(port: u16, service: &str, variable: &str) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {port} of 127.0.0.1 is taken by another program, and {service} needs it; \
             stop that program, or choose another port with {variable}"
        ),
        Err(error) => Err(error)
            .with_context(|| format!("{service} cannot listen on port {port} of 127.0.0.1; {variable} changes it")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_who_needs_it_and_what_changes_it() {
        let port = free_port().unwrap();
        let _holder = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let message = require_free(port, "PostgreSQL", "PGPORT").unwrap_err().to_string();
        for part in [&port.to_string(), "PostgreSQL", "PGPORT"] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
        assert!(!is_free(port));
    }
}
