//! Settings of webhooks: how requests are signed, which addresses they may go to, and where notices go.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ipnet::IpNet;
use secrecy::{SecretSlice, SecretString};
use std::net::IpAddr;
use url::Url;

use crate::Config;
use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// What a signing secret in base64 begins with.
const BASE64_MARK: &str = "whsec_";

/// Fewest bytes of a signing secret: fewer could be guessed.
pub(crate) const LEAST_SECRET_BYTES: usize = 24;

/// Longest text of a signing secret, in bytes.
pub(crate) const MOST_SECRET_TEXT: usize = 512;

/// How requests to webhooks are signed, which addresses they may go to, and where notices go.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// What requests are signed with; without it nothing is sent.
    pub signing_secret: Option<SecretString>,
    /// What they are signed with as well while receivers change over.
    pub previous_signing_secret: Option<SecretString>,
    /// Addresses that are not public and may be reached all the same, also without TLS.
    pub allowed_addresses: Vec<IpNet>,
    /// Where notices of proposals that wait for a decision go.
    pub approval_url: Option<Url>,
}

impl Webhooks {
    pub(crate) fn blank() -> Self {
        Self {
            signing_secret: None,
            previous_signing_secret: None,
            allowed_addresses: Vec::new(),
            approval_url: None,
        }
    }
}

/// The bytes that a signing secret stands for: what is base64 after `whsec_`, or else the text itself. Nothing when it is no
/// secret: too short, too long, with control characters, or not base64 where it says so.
#[must_use]
pub fn signing_key(secret: &str) -> Option<SecretSlice<u8>> {
    let text = secret.trim();
    if text.len() > MOST_SECRET_TEXT || text.contains(char::is_control) {
        return None;
    }
    let key = match text.strip_prefix(BASE64_MARK) {
        Some(encoded) => STANDARD.decode(encoded).ok()?,
        None => text.as_bytes().to_vec(),
    };
    (key.len() >= LEAST_SECRET_BYTES).then(|| key.into())
}

/// A network, or one address as a network of its own. One that names an address inside of it is refused, for it may have
/// been meant as that address.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    let network: IpNet = text.parse().ok()?;
    let mapped = matches!(network.addr(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    (network.trunc() == network && !mapped).then_some(network)
}

fn set_networks(config: &mut Config, text: &str) -> bool {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let networks: Option<Vec<IpNet>> = items.map(network).collect();
    networks
        .map(|networks| config.webhooks.allowed_addresses = networks)
        .is_some()
}

fn show_networks(config: &Config) -> String {
    let networks = config.webhooks.allowed_addresses.iter();
    networks.map(ToString::to_string).collect::<Vec<_>>().join(",")
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Webhooks,
        "STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET",
        "",
        Valid::SigningSecret,
        Access::OptionalSecret(|config| &mut config.webhooks.signing_secret),
        "Secret that requests to webhooks are signed with, so that receivers know where they come from; without it none is sent.",
    ),
    Definition::new(
        Section::Webhooks,
        "STUDIO_BRAIN_WEBHOOK_PREVIOUS_SIGNING_SECRET",
        "",
        Valid::SigningSecret,
        Access::OptionalSecret(|config| &mut config.webhooks.previous_signing_secret),
        "Secret before it: while it is set, requests carry a signature with each, and receivers can change over one by one.",
    ),
    Definition::new(
        Section::Webhooks,
        "STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES",
        "",
        Valid::Networks,
        Access::Parsed {
            set: set_networks,
            get: show_networks,
        },
        "Addresses that webhooks may have although they are not public, also without TLS; empty allows none.",
    ),
    Definition::new(
        Section::Webhooks,
        "STUDIO_BRAIN_APPROVAL_WEBHOOK_URL",
        "",
        Valid::HttpUrl,
        Access::OptionalUrl(|config| &mut config.webhooks.approval_url),
        "Where a notice goes when a proposal waits for a decision; needs STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET.",
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_secret_is_base64_where_it_says_so_and_text_otherwise() {
        let base64 = format!("whsec_{}", STANDARD.encode([7; 24]));
        assert_eq!(signing_key(&base64).unwrap().expose_secret(), [7; 24]);
        let text = "four and twenty bytes of text";
        assert_eq!(signing_key(text).unwrap().expose_secret(), text.as_bytes());
        for bad in [
            "",
            "short",
            "whsec_",
            "whsec_four-and-twenty-bytes-of-text",
            &format!("whsec_{}", STANDARD.encode([7; 23])),
            "four and twenty bytes\nof text",
            &"x".repeat(MOST_SECRET_TEXT + 1),
        ] {
            assert!(signing_key(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_network_is_one_address_or_a_whole_network() {
        let show = |text| network(text).map(|network| network.to_string());
        assert_eq!(show("127.0.0.1").as_deref(), Some("127.0.0.1/32"));
        assert_eq!(show("::ffff:10.1.2.3").as_deref(), Some("10.1.2.3/32"));
        assert_eq!(show("10.0.0.0/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(show("fd00::/8").as_deref(), Some("fd00::/8"));
        for bad in [
            "10.0.0.1/8",
            "::ffff:10.0.0.0/104",
            "localhost",
            "10.0.0.0/33",
            "10.0.0",
            "*",
        ] {
            assert_eq!(show(bad), None, "{bad}");
        }
    }
}
