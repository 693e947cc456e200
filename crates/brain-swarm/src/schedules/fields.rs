//! The fields of a cron expression, checked one by one so that a mistake is named where it is.
//!
//! croner turns names into numbers before it looks at fields, and takes empty items of a list; here a name stands only
//! where it means something, and nothing is empty.

use super::{Invalid, calendar::parser};

/// More than any expression that a person can read.
const MAX_BYTES: usize = 256;

const NICKNAMES: [(&str, &str); 6] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What a field is called, and what may be in it.
struct Field {
    name: &'static str,
    values: &'static str,
    words: &'static [&'static str],
    signs: &'static str,
}

const FIELDS: [Field; 6] = [
    Field {
        name: "second",
        values: "0 to 59",
        words: &[],
        signs: "*,-/",
    },
    Field {
        name: "minute",
        values: "0 to 59",
        words: &[],
        signs: "*,-/",
    },
    Field {
        name: "hour",
        values: "0 to 23",
        words: &[],
        signs: "*,-/",
    },
    Field {
        name: "day of the month",
        values: "1 to 31, L for the last day, 15W for the weekday next to the 15th",
        words: &["L", "W", "LW"],
        signs: "*,-/?",
    },
    Field {
        name: "month",
        values: "1 to 12 or JAN to DEC",
        words: &MONTHS,
        signs: "*,-/",
    },
    Field {
        name: "day of the week",
        values: "0 to 7 or SUN to SAT (0 and 7 are Sunday), MON#2 for the second Monday, FRI#L for the last Friday",
        words: &WEEKDAYS,
        signs: "*,-/?#+",
    },
];

/// Splits an expression into five or six fields, each with nothing in it that does not belong there.
pub(super) fn read(cron: &str) -> Result<Vec<String>, Invalid> {
    if cron.len() > MAX_BYTES {
        let bytes = cron.len();
        return Err(Invalid::Cron(format!(
            "it is {bytes} bytes long, at most {MAX_BYTES} are allowed"
        )));
    }
    let mut cron = cron.trim().to_ascii_uppercase();
    if cron.starts_with('@') {
        let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&cron));
        let Some((_, fields)) = known else {
            let names = NICKNAMES.map(|(name, _)| name).join(", ");
            return Err(Invalid::Cron(format!("{cron:?} is not a nickname; valid: {names}")));
        };
        cron = (*fields).to_owned();
    }
    let fields: Vec<String> = cron.split_whitespace().map(str::to_owned).collect();
    if !matches!(fields.len(), 5 | 6) {
        return Err(Invalid::Cron(format!(
            "it has {} fields; write five, minute hour day month weekday, such as \"30 2 * * MON-FRI\", or six with the second first",
            fields.len()
        )));
    }
    match fields.iter().zip(kinds(&fields)).find(|(text, kind)| !kind.knows(text)) {
        Some((text, kind)) => Err(kind.fault(text)),
        None => Ok(fields),
    }
}

/// Which of the fields the parser does not take.
pub(super) fn fault(fields: &[String]) -> Invalid {
    let refused = fields.iter().zip(kinds(fields)).enumerate().find(|(place, (text, _))| {
        let alone: Vec<&str> = (0..fields.len())
            .map(|other| if other == *place { text.as_str() } else { "*" })
            .collect();
        parser().parse(&alone.join(" ")).is_err()
    });
    match refused {
        Some((_, (text, kind))) => kind.fault(text),
        None => Invalid::Cron("its fields do not go together".to_owned()),
    }
}

/// What the fields are: with five of them, there is no second.
fn kinds(fields: &[String]) -> &'static [Field] {
    &FIELDS[FIELDS.len() - fields.len().min(FIELDS.len())..]
}

impl Field {
    fn knows(&self, text: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || self.signs.contains(c);
        // A plus joins the weekday to the day of the month with "and", and stands in front of everything.
        let items = text.strip_prefix('+').unwrap_or(text);
        let mut words = items
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty());
        text.chars().all(fits)
            && !items.contains('+')
            && items.split(',').all(|item| !item.is_empty())
            && words.all(|word| self.has_word(word))
    }

    fn has_word(&self, word: &str) -> bool {
        let weekdays = self.signs.contains('#');
        self.words.contains(&word)
            || (weekdays && (word == "L" || self.words.iter().any(|day| *day == word.trim_end_matches('L'))))
    }

    fn fault(&self, text: &str) -> Invalid {
        let (name, values) = (self.name, self.values);
        let shown: String = text.chars().take(40).collect();
        Invalid::Cron(format!(
            "the {name} is {shown:?}; write *, a value, a list (1,3), a range (1-5) or a step (*/2, 1-5/2); values are {values}"
        ))
    }
}
