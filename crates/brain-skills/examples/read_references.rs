//! Reads the skill references given as arguments and says which of them are pinned.
//!
//! `cargo run -p brain-skills --example read_references -- calendar-triage@1.4.0 calendar-triage@latest`
#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use brain_skills::SkillRef;

fn main() {
    let mut given: Vec<String> = std::env::args().skip(1).collect();
    if given.is_empty() {
        given = ["calendar-triage@1.4.0", "calendar-triage@latest"]
            .map(str::to_owned)
            .into();
    }
    for text in given {
        match text.parse::<SkillRef>() {
            Ok(skill) => println!("{skill}: name {}, version {}", skill.name(), skill.version()),
            Err(error) => println!("refused: {error}"),
        }
    }
}
