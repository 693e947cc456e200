//! Variable interpolation in the values of a compose file.
//!
//! The grammar of Docker Compose: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${NAME:+replacement}`,
//! each also without the colon (then an empty value counts as set), nested defaults, and `$$` for a dollar sign.
//! Where Compose would warn and go on with nothing, because a plain `${NAME}` is not set, this is an error.

/// Resolves a variable by name.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `text` with its variables replaced; the error is one sentence.
pub(super) fn interpolate(text: &str, variable: Lookup<'_>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = closing_brace(after).ok_or_else(|| format!("`${{{after}` is not closed"))?;
            result.push_str(&braced(&after[..end], variable)?);
            rest = &after[end + 1..];
        } else {
            let (name, after) = split_name(rest);
            if name.is_empty() {
                return Err(format!("`${rest}` is no variable; write `$$` for a dollar sign"));
            }
            result.push_str(&plain(name, variable)?);
            rest = after;
        }
    }
    result.push_str(rest);
    Ok(result)
}

/// The position of the brace that closes an expression, past the ones nested in it.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut previous = '\0';
    for (at, character) in text.char_indices() {
        match character {
            '{' if previous == '$' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        previous = character;
    }
    None
}

fn split_name(text: &str) -> (&str, &str) {
    let starts_as_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at(if starts_as_name { end } else { 0 })
}

fn plain(name: &str, variable: Lookup<'_>) -> Result<String, String> {
    variable(name).ok_or_else(|| format!("the variable {name} is not set and has no default"))
}

/// What stands between the braces of `${...}`.
fn braced(expression: &str, variable: Lookup<'_>) -> Result<String, String> {
    let (name, operation) = split_name(expression);
    if name.is_empty() {
        return Err(format!("`${{{expression}}}` names no variable"));
    }
    let (empty_counts_as_unset, operation) = match operation.strip_prefix(':') {
        Some(operation) => (true, operation),
        None => (false, operation),
    };
    let set = variable(name).filter(|value| !(empty_counts_as_unset && value.is_empty()));
    if let Some(default) = operation.strip_prefix('-') {
        set.map_or_else(|| interpolate(default, variable), Ok)
    } else if let Some(message) = operation.strip_prefix('?') {
        set.ok_or_else(|| match message {
            "" => format!("the variable {name} is required"),
            message => format!("the variable {name} is required: {message}"),
        })
    } else if let Some(replacement) = operation.strip_prefix('+') {
        set.map_or_else(|| Ok(String::new()), |_| interpolate(replacement, variable))
    } else if operation.is_empty() && !empty_counts_as_unset {
        plain(name, variable)
    } else {
        Err(format!("`${{{expression}}}` is no known form of interpolation"))
    }
}

#[cfg(test)]
mod tests {
    use super::interpolate;

    fn with_variables(text: &str) -> Result<String, String> {
        interpolate(text, &|name| match name {
            "PORT" => Some("6000".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(with_variables(text), Ok(expected.to_owned()), "{text}");
    }

    #[track_caller]
    fn check_error(text: &str, part: &str) {
        match with_variables(text) {
            Ok(value) => panic!("{text} became {value}"),
            Err(message) => assert!(message.contains(part), "{text}: {message}"),
        }
    }

    #[test]
    fn values_replace_variables() {
        check("no variables", "no variables");
        check("a${PORT}b", "a6000b");
        check("$PORT:1", "6000:1");
        check("127.0.0.1:${PORT:-1}:5432", "127.0.0.1:6000:5432");
    }

    #[test]
    fn defaults_apply_to_what_is_unset_or_empty() {
        check("${MISSING:-5433}", "5433");
        check("${MISSING-5433}", "5433");
        check("${EMPTY:-5433}", "5433");
        check("${EMPTY-5433}", "");
        check("${MISSING:-}", "");
        check("${MISSING:-${PORT}}", "6000");
        check("${MISSING:-${OTHER:-7}}", "7");
        check("${PORT:+set}|${EMPTY:+set}|${EMPTY+set}", "set||set");
    }

    #[test]
    fn two_dollars_are_one_dollar() {
        check("$$HOME $${HOME:-x} $$", "$HOME ${HOME:-x} $");
    }

    #[test]
    fn a_missing_variable_is_named() {
        check_error("${MISSING}", "MISSING is not set");
        check_error("$MISSING", "MISSING is not set");
        check_error("${MISSING:?set it in .env}", "MISSING is required: set it in .env");
        check_error("${EMPTY:?}", "EMPTY is required");
        check("${EMPTY?}", "");
    }

    #[test]
    fn broken_expressions_are_errors() {
        check_error("${PORT", "not closed");
        check_error("${}", "names no variable");
        check_error("${PORT:=1}", "no known form");
        check_error("${PORT:}", "no known form");
        check_error("5$", "write `$$`");
    }
}
