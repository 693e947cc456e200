//! What holds for any text: nothing panics, no secret shows, and what is shown can be read back.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use brain_config::{Config, Sources, definitions};
use proptest::prelude::*;

/// Distinctive, so that it cannot occur in an output by chance.
const MARK: &str = "Zq7Xw";

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "[0-9a-f:.@/$,\\[\\]-]{0,30}",
        "(http|https)://[a-z:@/.?#0-9]{0,30}",
        any::<i128>().prop_map(|number| number.to_string()),
    ]
}

/// Everything that anybody could log about these sources.
fn everything_shown(sources: &Sources) -> String {
    let mut shown = format!("{sources:?}");
    match Config::load(sources) {
        Ok(loaded) => {
            shown += &format!("{loaded:?}{:?}", loaded.config.redacted());
            shown.extend(loaded.warnings.iter().map(ToString::to_string));
        }
        Err(problems) => shown += &format!("{problems:?}{problems}"),
    }
    shown
}

proptest! {
    #[test]
    fn any_value_of_any_variable_is_judged_without_a_panic(
        values in proptest::collection::vec((0..definitions().len(), any_value()), 1..12),
    ) {
        let named = values.iter().map(|(index, value)| (definitions()[*index].name, value.as_str()));
        match Config::load(&Sources::from_pairs(named)) {
            Err(problems) => prop_assert!(!problems.is_empty()),
            Ok(loaded) => {
                // What is shown, set again, is the same configuration.
                let entries = loaded.config.redacted();
                let plain = entries.iter().filter(|entry| !entry.secret);
                let mut again = Sources::from_pairs(plain.map(|entry| (entry.variable, entry.value.as_str())));
                for (index, value) in &values {
                    let definition = &definitions()[*index];
                    if definition.secret {
                        again.environment.insert(definition.name.to_owned(), value.clone());
                    }
                }
                let again = Config::load(&again).unwrap().config.redacted();
                for (first, second) in entries.iter().zip(&again) {
                    prop_assert_eq!(&first.value, &second.value);
                }
            }
        }
    }

    #[test]
    fn no_secret_is_ever_shown(before in any_value(), after in any_value(), wrong in any::<bool>()) {
        let secret = format!("{before}{MARK}{after}");
        let mut pairs: Vec<(&str, &str)> =
            definitions().iter().filter(|one| one.secret).map(|one| (one.name, secret.as_str())).collect();
        if wrong {
            pairs.push(("PGPORT", "wrong"));
        }
        let environment = Sources::from_pairs(pairs.clone());
        prop_assert!(!everything_shown(&environment).contains(MARK));

        let text: String = pairs.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        // A line break would begin a line whose text is a name, and names may be shown.
        if !secret.contains(['\n', '\r']) {
            let file = Sources::default().with_dotenv_text(".env", &text);
            prop_assert!(!everything_shown(&file).contains(MARK));
        }
    }

    #[test]
    fn credentials_in_a_url_are_never_shown(index in 0..definitions().len(), user in "[a-z]{0,8}") {
        let value = format!("https://{user}:{MARK}@host.example/path");
        let sources = Sources::from_pairs([(definitions()[index].name, value.as_str())]);
        if definitions()[index].secret || Config::load(&sources).is_err() {
            prop_assert!(!everything_shown(&sources).contains(MARK));
        }
    }

    #[test]
    fn any_file_is_read_without_a_panic_and_without_substitution(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("$OTHER"), Just("${OTHER}"), Just("$"), Just("'"), Just("\""), Just("\\"), Just("#"),
                Just(" "), Just("\n"), Just("\r\n"), Just("="), Just("\nNAME="), Just("export "), Just("x"), Just("é"),
            ],
            0..40,
        ),
    ) {
        let text = format!("OTHER={MARK}\n{}", parts.concat());
        let sources = Sources::default().with_dotenv_text(".env", &text);
        for (name, value) in sources.dotenv.iter().filter(|(name, _)| *name != "OTHER") {
            prop_assert!(!value.contains(MARK), "{} took the value of another variable", name);
        }
        let _judged = Config::load(&sources);
    }

    #[test]
    fn any_text_is_a_file(text in any::<String>()) {
        let _judged = Config::load(&Sources::default().with_dotenv_text(".env", &text));
    }

    #[test]
    fn any_unknown_name_is_answered(name in any::<String>()) {
        let sources = Sources::from_pairs([(format!("STUDIO_BRAIN_{name}"), MARK.to_owned())]);
        prop_assert!(!everything_shown(&sources).contains(MARK));
        let mut sources = Sources::default();
        sources.flags.insert(format!("{name}?"), MARK.to_owned());
        prop_assert!(Config::load(&sources).is_err());
        prop_assert!(!everything_shown(&sources).contains(MARK));
    }
}
