//! Integration tests of the skill plane, in one binary.

mod hostile;
mod sandbox;
