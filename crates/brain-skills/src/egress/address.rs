//! Which addresses may be dialled: public ones, and those of networks that somebody excepted.
//!
//! Invariant: an address is judged as what it leads to, however it is written.

use std::net::IpAddr;

use brain_config::address::is_public;
use ipnet::IpNet;

/// Networks that may be reached although they are not public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions(Vec<IpNet>);

impl Exceptions {
    /// These networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether this address may be dialled: it is public, or in one of the networks.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn exceptions_are_as_wide_as_they_say() {
        let exceptions = Exceptions::new(vec!["127.0.0.2/32".parse().unwrap(), "fd00::/64".parse().unwrap()]);
        let allow = |text: &str| exceptions.allow(text.parse().unwrap());
        assert!(allow("127.0.0.2") && allow("::ffff:127.0.0.2") && allow("fd00::9") && allow("1.1.1.1"));
        assert!(!allow("127.0.0.1") && !allow("fd00:0:0:1::9") && !allow("169.254.169.254"));
    }
}
