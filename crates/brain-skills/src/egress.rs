//! Which hosts a program may reach, and the proxy that is its only way there.
//!
//! What is said inside of TLS stays between the program and the host that it was let through to: a host that passes requests on
//! to others, such as the front of a delivery network, is on the list with all of them.
//!
//! Invariants: nothing is reached, or even looked up, that is not on the list by exact name and port; what was judged
//! is what is dialled; every decision is told once to whoever keeps the log.

pub mod address;
pub mod allowlist;
pub mod client_hello;
mod decision;
mod proxy;
mod relay;
pub mod request;

pub use allowlist::{Allowlist, Endpoint, Host};
pub use decision::{Decision, Refusal, Sink};
pub use proxy::{Proxy, Resolve, Settings};
