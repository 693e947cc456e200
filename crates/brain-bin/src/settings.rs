//! Reading the configuration for a command, and telling what is wrong with it.

use brain_config::{Config, Loaded, Problems, Sources};

use crate::{cli::SettingsArgs, exit::Usage};

/// The `.env` file of the working directory, which may be absent.
const DOTENV: &str = ".env";

/// Reads every source, without judging what is wrong.
pub(crate) fn read(args: &SettingsArgs) -> Result<Loaded, Problems> {
    let flags = args.set.iter().cloned().collect();
    let dotenv = args.env_file.as_deref().unwrap_or(DOTENV.as_ref());
    Config::load(&Sources::from_process(Some(dotenv), flags)?)
}

/// Reads every source for a command that cannot do without.
pub(crate) fn load(args: &SettingsArgs) -> Result<Loaded, Usage> {
    read(args).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
        let heading = match problems.len() {
            1 => "the configuration cannot be used:".to_owned(),
            n => format!("the configuration cannot be used, for {n} reasons:"),
        };
        Usage(format!("{heading}\n{}", lines.join("\n")))
    })
}
