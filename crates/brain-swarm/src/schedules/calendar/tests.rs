//! Firings over changes of the clock, against a count of every minute.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;

use super::*;

/// The firings from one moment to another, with the offset of the zone.
fn firings(cron: &str, zone: &str, from: &str, until: &str) -> String {
    let calendar = Calendar::new(cron, zone).unwrap();
    let moment = |text: &str| {
        let wall: DateTime = text.parse().unwrap();
        calendar.zone.to_timestamp(wall).unwrap()
    };
    let (mut at, until) = (moment(from), moment(until));
    let mut lines = Vec::new();
    while let Some(next) = calendar.after(at).filter(|next| *next <= until) {
        lines.push(
            next.to_zoned(calendar.zone.clone())
                .strftime("%m-%d %H:%M%:z")
                .to_string(),
        );
        at = next;
    }
    lines.join(", ")
}

#[test]
fn a_time_that_is_skipped_fires_right_after_the_gap() {
    let spring = |cron, zone, day: &str| firings(cron, zone, &format!("{day}T00:00"), &format!("{day}T23:59"));
    let berlin = |cron| spring(cron, "Europe/Berlin", "2026-03-29");
    insta::assert_snapshot!(berlin("30 2 * * *"), @"03-29 03:00+02:00");
    insta::assert_snapshot!(berlin("*/15 2 * * *"), @"03-29 03:00+02:00");
    insta::assert_snapshot!(berlin("0 1-4 * * *"), @"03-29 01:00+01:00, 03-29 03:00+02:00, 03-29 04:00+02:00");
    insta::assert_snapshot!(berlin("30 1-3 * * *"), @"03-29 01:30+01:00, 03-29 03:00+02:00, 03-29 03:30+02:00");
    insta::assert_snapshot!(spring("15 2 * * *", "America/New_York", "2026-03-08"), @"03-08 03:00-04:00");
    insta::assert_snapshot!(spring("15 2 * * *", "Australia/Lord_Howe", "2026-10-04"), @"10-04 02:30+11:00");
    insta::assert_snapshot!(spring("45 2 * * *", "Australia/Lord_Howe", "2026-10-04"), @"10-04 02:45+11:00");
    insta::assert_snapshot!(spring("30 2 * * *", "Asia/Kolkata", "2026-03-29"), @"03-29 02:30+05:30");
}

/// There the clock skips the last hour of Saturday: what is due then is not lost because it is Sunday afterwards.
#[test]
fn a_gap_may_end_on_another_day() {
    let nuuk = firings("30 23 * * SAT", "America/Nuuk", "2026-03-27T12:00", "2026-03-29T12:00");
    insta::assert_snapshot!(nuuk, @"03-29 00:00-01:00");
}

#[test]
fn a_time_that_comes_twice_fires_the_first_time() {
    let autumn = |cron, zone, day: &str| firings(cron, zone, &format!("{day}T00:00"), &format!("{day}T23:59"));
    let berlin = |cron| autumn(cron, "Europe/Berlin", "2026-10-25");
    insta::assert_snapshot!(berlin("30 2 * * *"), @"10-25 02:30+02:00");
    insta::assert_snapshot!(berlin("0,30 2,3 * * *"), @"10-25 02:00+02:00, 10-25 02:30+02:00, 10-25 03:00+01:00, 10-25 03:30+01:00");
    insta::assert_snapshot!(autumn("30 1 * * *", "America/New_York", "2026-11-01"), @"11-01 01:30-04:00");
    insta::assert_snapshot!(autumn("45 1 * * *", "Australia/Lord_Howe", "2026-04-05"), @"04-05 01:45+11:00");
}

#[test]
fn a_wildcard_hour_means_real_time() {
    let berlin = |cron, day: &str| firings(cron, "Europe/Berlin", &format!("{day}T00:59"), &format!("{day}T04:10"));
    insta::assert_snapshot!(berlin("30 * * * *", "2026-03-29"), @"03-29 01:30+01:00, 03-29 03:30+02:00");
    insta::assert_snapshot!(berlin("30 * * * *", "2026-10-25"), @"10-25 01:30+02:00, 10-25 02:30+02:00, 10-25 02:30+01:00, 10-25 03:30+01:00");
    insta::assert_snapshot!(berlin("@hourly", "2026-10-25"), @"10-25 01:00+02:00, 10-25 02:00+02:00, 10-25 02:00+01:00, 10-25 03:00+01:00, 10-25 04:00+01:00");
    insta::assert_snapshot!(berlin("0 */2 * * *", "2026-10-25"), @"10-25 02:00+02:00, 10-25 02:00+01:00, 10-25 04:00+01:00");
    let lord_howe = firings(
        "*/20 * * * *",
        "Australia/Lord_Howe",
        "2026-04-05T01:15",
        "2026-04-05T02:05",
    );
    insta::assert_snapshot!(lord_howe, @"04-05 01:20+11:00, 04-05 01:40+11:00, 04-05 01:40+10:30, 04-05 02:00+10:30");
}

#[test]
fn starting_within_the_repeated_hour_repeats_nothing() {
    let calendar = Calendar::new("*/15 2 * * *", "Europe/Berlin").unwrap();
    let second_pass: Timestamp = "2026-10-25T01:10:00Z".parse().unwrap();
    assert_eq!(calendar.after(second_pass).unwrap().to_string(), "2026-10-26T01:00:00Z");
}

#[test]
fn the_calendar_of_cron_is_known() {
    let utc = |cron| firings(cron, "UTC", "2026-01-01T00:00", "2026-03-31T00:00");
    insta::assert_snapshot!(utc("0 12 L * *"), @"01-31 12:00+00:00, 02-28 12:00+00:00");
    insta::assert_snapshot!(utc("0 12 * * MON#1"), @"01-05 12:00+00:00, 02-02 12:00+00:00, 03-02 12:00+00:00");
    insta::assert_snapshot!(utc("0 12 * * FRIL"), @"01-30 12:00+00:00, 02-27 12:00+00:00, 03-27 12:00+00:00");
    insta::assert_snapshot!(utc("0 12 15W * *"), @"01-15 12:00+00:00, 02-16 12:00+00:00, 03-16 12:00+00:00");
    insta::assert_snapshot!(utc("0 12 13 * +FRI"), @"02-13 12:00+00:00, 03-13 12:00+00:00");
    insta::assert_snapshot!(utc("@monthly"), @"02-01 00:00+00:00, 03-01 00:00+00:00");
}

#[test]
fn a_day_that_never_comes_is_found_out() {
    for cron in ["0 0 30 2 *", "0 0 31 4,6 *", "* * 30 2 *"] {
        let calendar = Calendar::new(cron, "Europe/Berlin").unwrap();
        assert_eq!(calendar.after(Timestamp::UNIX_EPOCH), None, "{cron}");
    }
}

#[test]
fn mistakes_are_named_with_the_remedy() {
    let fault = |cron: &str| Calendar::new(cron, "UTC").unwrap_err().to_string();
    insta::assert_snapshot!(fault("0 25 * * *"), @r#"cron: the hour is "25"; write *, a value, a list (1,3), a range (1-5) or a step (*/2, 1-5/2); values are 0 to 23"#);
    insta::assert_snapshot!(fault("0 0 0 * *"), @r#"cron: the day of the month is "0"; write *, a value, a list (1,3), a range (1-5) or a step (*/2, 1-5/2); values are 1 to 31, L for the last day, 15W for the weekday next to the 15th"#);
    insta::assert_snapshot!(fault("MON * * * *"), @r#"cron: the minute is "MON"; write *, a value, a list (1,3), a range (1-5) or a step (*/2, 1-5/2); values are 0 to 59"#);
    insta::assert_snapshot!(fault("0 0 * MON *"), @r#"cron: the month is "MON"; write *, a value, a list (1,3), a range (1-5) or a step (*/2, 1-5/2); values are 1 to 12 or JAN to DEC"#);
    insta::assert_snapshot!(fault("0 0 * * 8"), @r#"cron: the day of the week is "8"; write *, a value, a list (1,3), a range (1-5) or a step (*/2, 1-5/2); values are 0 to 7 or SUN to SAT (0 and 7 are Sunday), MON#2 for the second Monday, FRI#L for the last Friday"#);
    insta::assert_snapshot!(fault("99 0 0 * * *"), @r#"cron: the second is "99"; write *, a value, a list (1,3), a range (1-5) or a step (*/2, 1-5/2); values are 0 to 59"#);
    insta::assert_snapshot!(fault("* * *"), @r#"cron: it has 3 fields; write five, minute hour day month weekday, such as "30 2 * * MON-FRI", or six with the second first"#);
    insta::assert_snapshot!(fault("@often"), @r#"cron: "@OFTEN" is not a nickname; valid: @yearly, @annually, @monthly, @weekly, @daily, @hourly"#);
    insta::assert_snapshot!(fault(""), @r#"cron: it has 0 fields; write five, minute hour day month weekday, such as "30 2 * * MON-FRI", or six with the second first"#);
    insta::assert_snapshot!(fault(&"1,".repeat(200)), @"cron: it is 400 bytes long, at most 256 are allowed");
    for cron in [
        "1,,2 * * * *",
        ", * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "* * * * +",
        "é * * * *",
        "* * * * * * 2026",
        "/5 * * * *",
    ] {
        assert!(fault(cron).starts_with("cron: "), "{cron}");
    }
    let zone = |name: &str| Calendar::new("* * * * *", name).unwrap_err().to_string();
    insta::assert_snapshot!(zone("Europe/Atlantis"), @r#"timeZone: "Europe/Atlantis" is not an IANA time zone; write a name such as UTC, Europe/Berlin or America/New_York"#);
    for name in [
        "",
        "localtime",
        "posix/Europe/Berlin",
        "right/UTC",
        "EST5EDT4,M3.2.0",
        "../../etc/passwd",
        "\0",
    ] {
        assert!(zone(name).starts_with("timeZone: "), "{name}");
    }
    assert_eq!(
        Calendar::new("* * * * *", "europe/berlin").unwrap().time_zone(),
        "Europe/Berlin"
    );
}

#[test]
fn the_latest_is_found_over_any_distance() {
    let calendar = Calendar::new("30 2 * * *", "Europe/Berlin").unwrap();
    let from: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let until: Timestamp = "2026-03-29T01:00:00Z".parse().unwrap();
    assert_eq!(calendar.latest(from, until), Some(until));
    assert_eq!(
        calendar
            .latest(from, until - SignedDuration::from_secs(1))
            .unwrap()
            .to_string(),
        "2026-03-28T01:30:00Z"
    );
    assert_eq!(calendar.latest(until, until), None);
}

/// What each time of the wall clock stands for, minute by minute, without croner's search and without ours.
fn counted(calendar: &Calendar, from: Timestamp, until: Timestamp) -> BTreeSet<Timestamp> {
    let zone = &calendar.zone;
    if calendar.real_time {
        let minutes = (from.as_second() / 60 + 1)..=(until.as_second() / 60);
        let moments = minutes.map(|minute| Timestamp::from_second(minute * 60).unwrap());
        return moments
            .filter(|at| calendar.cron.is_time_matching(&zone.to_datetime(*at)).unwrap())
            .collect();
    }
    let mut wall = zone.to_datetime(from).round(jiff::Unit::Hour).unwrap() - 1.day();
    let mut moments = BTreeSet::new();
    while wall < zone.to_datetime(until) + 1.day() {
        if calendar.cron.is_time_matching(&wall).unwrap() {
            let ambiguous = zone.to_ambiguous_timestamp(wall);
            let at = match ambiguous.offset() {
                AmbiguousOffset::Gap { before, after } => {
                    // Second by second from before the gap to its end.
                    let mut at = after.to_timestamp(wall).unwrap();
                    while zone.to_offset(at) == before {
                        at += SignedDuration::from_secs(60);
                    }
                    at
                }
                _ => ambiguous.earlier().unwrap(),
            };
            moments.insert(at);
        }
        wall += 1.minute();
    }
    moments.into_iter().filter(|at| *at > from && *at <= until).collect()
}

fn field(max: u32, first: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("*".to_owned()),
        1 => (2..=max / 2).prop_map(|step| format!("*/{step}")),
        3 => (first..=max).prop_map(|value| value.to_string()),
        2 => (first..=max, first..=max).prop_map(|(a, b)| format!("{},{}", a.min(b), a.max(b))),
        2 => (first..=max, first..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Two days about a change of the clock: every firing that is due, each once, in order, and no other.
    #[test]
    fn the_search_agrees_with_a_count_of_every_minute(
        minute in field(59, 0),
        hour in prop_oneof![field(23, 0), (0_u32..5).prop_map(|hour| hour.to_string())],
        weekday in prop_oneof![Just("*".to_owned()), Just("SUN".to_owned()), Just("SAT,SUN".to_owned())],
        (zone, change) in prop::sample::select(vec![
            ("Europe/Berlin", "2026-03-29T01:00:00Z"),
            ("Europe/Berlin", "2026-10-25T01:00:00Z"),
            ("America/New_York", "2026-03-08T07:00:00Z"),
            ("America/New_York", "2026-11-01T06:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
            ("America/Nuuk", "2026-03-29T01:00:00Z"),
            ("Africa/Cairo", "2026-04-23T22:00:00Z"),
            ("Asia/Tokyo", "2026-03-29T01:00:00Z"),
        ]),
        before in 0_i64..172_800,
    ) {
        let calendar = Calendar::new(&format!("{minute} {hour} * * {weekday}"), zone).unwrap();
        let change: Timestamp = change.parse().unwrap();
        let from = change - SignedDuration::from_secs(before);
        let until = from + SignedDuration::from_hours(48);
        let mut found = Vec::new();
        let mut at = from;
        while let Some(next) = calendar.after(at).filter(|next| *next <= until) {
            prop_assert!(next > at);
            found.push(next);
            at = next;
        }
        let counted: Vec<Timestamp> = counted(&calendar, from, until).into_iter().collect();
        prop_assert_eq!(found, counted);
    }

    #[test]
    fn foreign_text_never_panics(cron in "\\PC{0,40}", zone in "\\PC{0,40}") {
        let _ = Calendar::new(&cron, "UTC");
        let _ = Calendar::new("* * * * *", &zone);
    }

    #[test]
    fn what_looks_like_cron_never_panics(cron in "[0-9A-Z*,/#+?@ -]{0,30}", start in 0_i64..4_000_000_000) {
        if let Ok(calendar) = Calendar::new(&cron, "America/New_York") {
            let start = Timestamp::from_second(start).unwrap();
            if let Some(next) = calendar.after(start) {
                prop_assert!(next > start);
            }
        }
    }
}
