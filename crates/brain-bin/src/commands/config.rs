//! `brain config check`: every setting without secrets, and what is wrong with them.

use brain_config::{Config, Problems, RedactedEntry, Source, Warning};
use serde::Serialize;

use crate::cli::{ConfigCommand, Format, SettingsArgs};
use crate::exit::{Usage, Verdict};
use crate::render::{self, escape::escaped, table::Grid};
use crate::settings;

#[derive(Serialize)]
struct Found {
    ok: bool,
    settings: Vec<RedactedEntry>,
    warnings: Vec<Warning>,
    problems: Vec<brain_config::Problem>,
}

pub(super) fn run(args: &SettingsArgs, command: &ConfigCommand) -> anyhow::Result<Verdict> {
    let ConfigCommand::Check { output } = command;
    let found = match settings::read(args) {
        Ok(loaded) => Found::usable(&loaded.config, loaded.warnings),
        Err(problems) => Found::unusable(problems),
    };
    match output {
        Format::Json => render::print_json(&found)?,
        Format::Table => render::print(&found.text())?,
    }
    match found.problems.len() {
        0 => Ok(Verdict::Ok),
        1 => Err(Usage("the configuration has a problem".to_owned()).into()),
        n => Err(Usage(format!("the configuration has {n} problems")).into()),
    }
}

impl Found {
    fn usable(config: &Config, warnings: Vec<Warning>) -> Self {
        Self {
            ok: true,
            settings: config.redacted(),
            warnings,
            problems: Vec::new(),
        }
    }

    fn unusable(problems: Problems) -> Self {
        Self {
            ok: false,
            settings: Vec::new(),
            warnings: Vec::new(),
            problems: problems.0,
        }
    }

    fn text(&self) -> String {
        let mut parts = Vec::new();
        if !self.settings.is_empty() {
            let mut grid = Grid::new(&["SETTING", "VALUE", "FROM"]);
            for entry in &self.settings {
                let from = match entry.source {
                    Source::Default => String::new(),
                    source => source.to_string(),
                };
                grid.whole_row([entry.variable, &entry.value, &from]);
            }
            parts.push(grid.finish());
        }
        parts.extend(listed("Warnings", &self.warnings));
        parts.extend(listed("Problems", &self.problems));
        if self.warnings.is_empty() && self.problems.is_empty() {
            parts.push("no warnings, no problems".to_owned());
        }
        parts.join("\n\n")
    }
}

fn listed<T: ToString>(heading: &str, items: &[T]) -> Option<String> {
    let lines: Vec<String> = items
        .iter()
        .map(|item| format!("  {}", escaped(&item.to_string())))
        .collect();
    (!lines.is_empty()).then(|| format!("{heading}:\n{}", lines.join("\n")))
}
