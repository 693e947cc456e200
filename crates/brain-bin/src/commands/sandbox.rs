//! `brain sandbox`: what confines skills on this machine.

use brain_skills::{
    launch::State,
    sandbox::{self, Report},
};
use serde_json::json;

use crate::app::sandbox_settings;
use crate::cli::{Format, SandboxCommand, SettingsArgs};
use crate::exit::Verdict;
use crate::render::{self, table::Grid};
use crate::settings;

/// Tries each mechanism as this user.
pub(super) fn run(args: &SettingsArgs, command: &SandboxCommand) -> anyhow::Result<Verdict> {
    let SandboxCommand::Check { output } = command;
    let config = settings::load(args)?.config;
    let reports = sandbox::check(&sandbox_settings(&config)?)?;
    let ok = !reports.iter().any(|report| report.required && is_missing(report));
    match output {
        Format::Json => render::print_json(&json!({ "ok": ok, "mechanisms": reports }))?,
        Format::Table => render::print(&table(&reports, ok))?,
    }
    Ok(Verdict::from(ok))
}

fn is_missing(report: &Report) -> bool {
    matches!(report.state, State::Missing(_))
}

fn table(reports: &[Report], ok: bool) -> String {
    let mut grid = Grid::new(&["MECHANISM", "STATE", "WHY"]);
    // Sentences that a cell would cut, and several mechanisms have the same.
    let mut remedies: Vec<(&str, Vec<&str>)> = Vec::new();
    for report in reports {
        let name = report.mechanism.name();
        let (state, why) = match &report.state {
            State::Enforced => ("enforced", String::new()),
            State::Missing(reason) => (if report.required { "MISSING" } else { "missing" }, reason.clone()),
        };
        grid.row([name.to_owned(), state.to_owned(), why]);
        if let Some(remedy) = report.remedy.as_deref() {
            match remedies.iter_mut().find(|(known, _)| *known == remedy) {
                Some((_, names)) => names.push(name),
                None => remedies.push((remedy, vec![name])),
            }
        }
    }
    let remedies: String = remedies
        .iter()
        .map(|(remedy, names)| format!("\n\nto have {}: {remedy}", names.join(", ")))
        .collect();
    let verdict = if ok {
        "skills can run confined"
    } else {
        "skills do not start: what is MISSING is required, unless STUDIO_BRAIN_SKILL_SANDBOX_MAY_LACK names it"
    };
    format!("{}{remedies}\n\n{verdict}", grid.finish())
}

#[cfg(test)]
mod tests {
    use brain_skills::sandbox::Mechanism;

    use super::*;

    #[test]
    fn what_is_missing_is_told_with_its_remedy() {
        let missing = |reason: &str| State::Missing(reason.to_owned());
        let reports = [
            Report::new(Mechanism::DedicatedUser, missing("the brain is not root"), false),
            Report::new(Mechanism::Seccomp, State::Enforced, true),
            Report::new(Mechanism::CgroupMemory, missing("no control group"), true),
            Report::new(Mechanism::CgroupPids, missing("no control group"), true),
        ];
        insta::assert_snapshot!(table(&reports, false), @r"
        MECHANISM       STATE     WHY
        dedicated_user  missing   the brain is not root
        seccomp         enforced
        cgroup_memory   MISSING   no control group
        cgroup_pids     MISSING   no control group

        to have dedicated_user: run the brain as root, with a range of users that nobody else has

        to have cgroup_memory, cgroup_pids: run the brain as root with /sys/fs/cgroup writable, or delegate a version 2 group to its user (Delegate=yes in its unit)

        skills do not start: what is MISSING is required, unless STUDIO_BRAIN_SKILL_SANDBOX_MAY_LACK names it
        ");
    }
}
