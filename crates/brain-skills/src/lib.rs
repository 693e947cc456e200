//! Skills: programs of strangers, run without trusting them.
//!
//! A skill is a directory with a `manifest.json` and a program that speaks JSON-RPC or the Model Context Protocol on its standard
//! streams. It comes from a [registry] that its publishers sign, is unpacked and hashed by the rules of [bundle] and [policy] into a
//! [store], and every byte of it is read again at each launch. The [sandbox] has the kernel confine it, [egress] is its only way out,
//! and [calls] bounds whatever it says. [plane] is all of that as one thing, for whoever serves skills.
//!
//! ```
//! use brain_skills::{Stage, manifest::Manifest, policy::Policy};
//!
//! let manifest = Manifest::read(br#"{
//!     "name": "word-count", "version": "1.0.0", "description": "Counts words.", "entrypoint": ["python3", "main.py"],
//!     "permissions": { "allowedEgressHosts": ["collector.example.com"] }
//! }"#)?;
//! // Policies grant nothing that they do not name, and what is asked for in vain is refused, not cut down.
//! let policy = Policy { require_signature: false, require_checksum: false, ..Policy::default() };
//! let refused = policy.judge(manifest.reference(), None, &manifest).unwrap_err();
//! assert_eq!(refused.stage, Stage::Policy);
//! assert!(refused.reason.contains("collector.example.com"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

pub mod bundle;
pub mod calls;
pub mod digest;
pub mod egress;
pub mod launch;
pub mod manifest;
pub mod plane;
pub mod policy;
pub mod reference;
pub mod refused;
pub mod registry;
#[cfg(target_os = "linux")]
pub mod sandbox;
pub mod skill_md;
pub mod store;

pub use reference::SkillRef;
pub use refused::{Refused, Stage};
