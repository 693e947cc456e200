//! When a schedule fires: cron on the wall clock of a time zone.
//!
//! croner knows the calendar and nothing of zones; the zone is ours, because what happens when clocks change is promised:
//!
//! - An hour field without `*` names times of the wall clock. Each occurs once: one that is skipped in spring fires at the
//!   moment of the change, one that comes twice in autumn fires the first time.
//! - An hour field with `*` (`*`, `*/2`) means real time: every moment whose wall clock fits, also in the repeated hour,
//!   and nothing for an hour that does not exist.
//!
//! Invariant: [`Calendar::after`] strictly grows; two of its moments never stand for one occurrence on the wall clock.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use super::{Invalid, fields};

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    cron: Cron,
    text: String,
    zone: TimeZone,
    zone_name: String,
    real_time: bool,
}

impl Calendar {
    /// Reads five cron fields, or six with seconds first, or a nickname such as `@daily`; and an IANA time zone.
    ///
    /// # Errors
    /// [`Invalid`] names the field that is wrong and what to write instead.
    pub fn new(cron: &str, time_zone: &str) -> Result<Self, Invalid> {
        let fields = fields::read(cron)?;
        let text = fields.join(" ");
        let parsed = parser().parse(&text).map_err(|_| fields::fault(&fields))?;
        let zone = zone(time_zone)?;
        Ok(Self {
            cron: parsed,
            text: cron.split_whitespace().collect::<Vec<_>>().join(" "),
            zone_name: zone.iana_name().unwrap_or(time_zone).to_owned(),
            zone,
            real_time: fields[fields.len() - 4].contains('*'),
        })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn cron(&self) -> &str {
        &self.text
    }

    /// The name of the time zone.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.zone_name
    }

    /// The first firing after a moment; none when there is no such day, as with 30 February.
    #[must_use]
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        if self.real_time {
            self.in_real_time(moment)
        } else {
            self.on_the_wall_clock(moment)
        }
    }

    /// The last firing after one moment and not after another.
    #[must_use]
    pub(super) fn latest(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut found = self.after(after).filter(|at| *at <= until)?;
        // Halving: a gap of months costs no more steps than a second has in it.
        let mut high = until.as_second();
        while found.as_second() < high {
            let middle = found.as_second() + (high - found.as_second()) / 2;
            match Timestamp::from_second(middle)
                .ok()
                .and_then(|middle| self.after(middle))
            {
                Some(at) if at <= until => found = at,
                _ => high = middle,
            }
        }
        Some(found)
    }

    fn on_the_wall_clock(&self, moment: Timestamp) -> Option<Timestamp> {
        let mut wall = self.zone.to_datetime(moment);
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let at = self.occurs(wall)?;
            // Not so while the clock repeats an hour: its times have been.
            if at > moment {
                return Some(at);
            }
        }
    }

    /// The moment at which a time of the wall clock occurs.
    fn occurs(&self, wall: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(wall).ok()
            }
            AmbiguousOffset::Gap { after, .. } => {
                // By the later offset, a time that is skipped lies before the change.
                let before = after.to_timestamp(wall).ok()?;
                Some(self.zone.following(before).next()?.timestamp())
            }
        }
    }

    fn in_real_time(&self, moment: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (moment, false);
        loop {
            // Between two changes the wall clock runs evenly.
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|change| change.timestamp());
            let wall = self
                .cron
                .find_next_occurrence(&offset.to_datetime(from), inclusive)
                .ok()?;
            let at = offset.to_timestamp(wall).ok()?;
            match change {
                Some(change) if change <= at => (from, inclusive) = (change, true),
                _ => return Some(at),
            }
        }
    }
}

/// Fields as cron has had them, seconds in front of them if wanted, and no years.
pub(super) fn parser() -> CronParser {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
}

/// The rules of this machine, which its owner keeps up to date, else those in this program.
fn zone(name: &str) -> Result<TimeZone, Invalid> {
    let unknown = || {
        let shown: String = name.chars().take(80).collect();
        Invalid::TimeZone(format!(
            "{shown:?} is not an IANA time zone; write a name such as UTC, Europe/Berlin or America/New_York"
        ))
    };
    // Files of the machine that mean something else on the next one.
    if ["localtime", "posixrules", "factory"].contains(&name.to_ascii_lowercase().as_str()) {
        return Err(unknown());
    }
    jiff::tz::db()
        .get(name)
        .or_else(|_| TimeZoneDatabase::bundled().get(name))
        .map_err(|_| unknown())
}

#[cfg(test)]
mod tests;
