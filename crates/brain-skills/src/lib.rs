//! Skill references: the start of the skill plane.
//!
//! This version does not install or run skills. It reads references to them, so that nobody can write one that means
//! something else tomorrow, and its health probes say that skills are not served.
//!
//! ```
//! use brain_skills::{SkillRef, reference};
//!
//! let skill: SkillRef = "calendar-triage@1.4.0".parse()?;
//! assert_eq!(skill.name(), "calendar-triage");
//! assert!(matches!("calendar-triage@latest".parse::<SkillRef>(), Err(reference::Error::Floating { .. })));
//! # Ok::<(), reference::Error>(())
//! ```
#![warn(missing_docs)]

pub mod calls;
pub mod digest;
pub mod egress;
pub mod launch;
pub mod probes;
pub mod reference;
#[cfg(target_os = "linux")]
pub mod sandbox;

pub use reference::SkillRef;
