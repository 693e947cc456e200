//! From texts to a checked tree, with every problem found on the way.

use std::collections::BTreeSet;

use crate::consistency::{self, Findings};
use crate::definition::{definition, definitions};
use crate::{Config, Problem, Problems, Source, Sources, Warning, warning};

/// A configuration that can be used, and what an operator should know about it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    /// What is probably not what was meant.
    pub warnings: Vec<Warning>,
}

pub(crate) fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut config = Config::defaults();
    let mut defaults = config.clone();
    let mut refused = BTreeSet::new();
    let mut found = Findings {
        problems: sources.problems.clone(),
        warnings: sources.warnings.clone(),
    };

    for definition in definitions() {
        let Some((source, text)) = sources.find(definition.name) else {
            continue;
        };
        if let Err(mut expected) = definition.apply(&mut config, text) {
            if text.trim().is_empty() {
                expected.push_str("; leave the variable out to get its default");
            }
            refused.insert(definition.name);
            found.problems.push(if definition.secret {
                Problem::hidden(definition.name, source, expected)
            } else {
                Problem::shown(definition.name, text, source, expected)
            });
            continue;
        }
        config.origins.insert(definition.name, source);
        if definition.secret && source == Source::Flag && !text.is_empty() {
            let message = "is on the command line, where every user of this machine can read it; \
                           set it in the environment or in .env";
            found.warnings.push(Warning::new(definition.name, message));
        }
        let changed = definition.access.show(&mut config) != definition.access.show(&mut defaults);
        if changed && !definition.effective {
            found
                .warnings
                .push(Warning::new(definition.name, "is valid but not effective yet"));
        }
    }

    unknown_names(sources, &mut found);
    consistency::check(&mut config, &refused, &mut found);
    match found.problems.is_empty() {
        true => Ok(Loaded {
            config,
            warnings: found.warnings,
        }),
        false => Err(Problems(found.problems)),
    }
}

/// A slip in a flag is refused, for it was just typed; elsewhere it may belong to a newer version.
fn unknown_names(sources: &Sources, found: &mut Findings) {
    for name in sources.flags.keys().filter(|name| definition(name).is_none()) {
        let expected = format!("the name of a known variable{}", warning::hint(name));
        found.problems.push(Problem::hidden(name, Source::Flag, expected));
    }
    let names: BTreeSet<&String> = sources.environment.keys().chain(sources.dotenv.keys()).collect();
    found
        .warnings
        .extend(names.into_iter().filter_map(|name| Warning::unknown(name)));
}
