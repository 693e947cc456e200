//! `brain kill-switch`: turns the kill switches, and says how they stand.

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, moment, text};
use super::steering::{self, Body};
use crate::cli::{KillSwitchArgs, KillSwitchCommand};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::table::Grid;

const SWITCH: [&str; 4] = ["api", "capabilities", "policy", "kill-switch"];

pub(super) async fn run(config: &Config, command: KillSwitchCommand) -> anyhow::Result<Verdict> {
    match command {
        KillSwitchCommand::On(args) => turn(config, &args, true).await?,
        KillSwitchCommand::Off(args) => turn(config, &args, false).await?,
        KillSwitchCommand::Status { one } => {
            let switches = Client::new(config, &one.server)?.get(&SWITCH, &[]).await?;
            steering::print(&switches, one.output, shown)?;
        }
    }
    Ok(Verdict::Ok)
}

async fn turn(config: &Config, args: &KillSwitchArgs, enabled: bool) -> anyhow::Result<()> {
    let reach = if args.installation { "installation" } else { "tenant" };
    let body = Body::default()
        .with("enabled", Some(enabled))
        .with("reach", Some(reach))
        .with("reason", Some(args.reason.as_str()));
    steering::alter(config, &SWITCH, &args.one, body, shown).await
}

/// Every switch, and below them what that means.
pub(super) fn shown(document: &Value) -> String {
    let switches = listing::items(document, "killSwitches");
    let is_on = |switch: &Value| switch.get("enabled") == Some(&Value::Bool(true));
    let mut grid = Grid::new(&["SWITCH OF THE", "STATE", "CHANGED", "BY", "REASON"]);
    for switch in &switches {
        let state = if is_on(switch) { "on" } else { "off" };
        grid.row([
            text(switch, "reach"),
            state.to_owned(),
            moment(switch, "changedAt"),
            text(switch, "changedBy"),
            text(switch, "reason"),
        ]);
    }
    let meaning = match switches.iter().any(is_on) {
        true => "STOPPED: nothing is dispatched, on any replica",
        false => "what is allowed is dispatched",
    };
    format!("{}\n\n{meaning}", grid.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn switches_say_what_they_mean() {
        let mut document = json!({"killSwitches": [
            {"reach": "tenant", "enabled": true, "reason": "the mails are wrong\u{1b}[2J", "changedBy": "token:1", "changedAt": "2026-01-01T00:00:00Z"},
            {"reach": "installation", "enabled": false, "reason": "", "changedBy": "", "changedAt": null},
        ]});
        insta::assert_snapshot!(shown(&document), @r"
        SWITCH OF THE  STATE  CHANGED               BY       REASON
        tenant         on     2026-01-01 00:00:00Z  token:1  the mails are wrong\u{1b}[2J
        installation   off

        STOPPED: nothing is dispatched, on any replica
        ");
        document["killSwitches"][0]["enabled"] = false.into();
        assert!(shown(&document).ends_with("what is allowed is dispatched"));
    }
}
