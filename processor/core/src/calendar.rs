//! On which day and at which instant does a date come: birthdays, anniversaries, ends of contracts.

use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::rule::Occasion;
use crate::time::{DAY, EARLIEST, LATEST, Millis};

/// A day of the calendar, as a number: days since 1970-01-01.
pub type Day = i32;

/// What the text of an attribute says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// `MM-DD` or `--MM-DD`
    EveryYear { month: u32, day: u32 },
    /// `YYYY-MM-DD`
    Once(NaiveDate),
}

impl Named {
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix("--").filter(|rest| rest.len() == 5).unwrap_or(text);
        let digits = |text: &str, length: usize| {
            (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse::<u32>().ok())?
        };
        let mut parts = text.split('-');
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() {
            return None;
        }
        match third {
            None => {
                let (month, day) = (digits(first, 2)?, digits(second, 2)?);
                // A leap year has all days there are.
                NaiveDate::from_ymd_opt(2000, month, day).map(|_| Self::EveryYear { month, day })
            }
            Some(third) => {
                let year = i32::try_from(digits(first, 4)?).ok()?;
                NaiveDate::from_ymd_opt(year, digits(second, 2)?, digits(third, 2)?).map(Self::Once)
            }
        }
    }

    /// The date in a year; the 29th of February is the 28th in common years.
    fn in_year(self, year: i32) -> Option<NaiveDate> {
        match self {
            Self::EveryYear { month, day } => {
                NaiveDate::from_ymd_opt(year, month, day).or_else(|| NaiveDate::from_ymd_opt(year, month, day - 1))
            }
            Self::Once(date) => Some(date),
        }
    }
}

/// The first instant at or after `from` at which the occasion comes, for the date that `text` names, and that date. Dates in
/// `but` are left out. `None`: `text` names no date, or the date does not come any more.
#[must_use]
pub fn next(occasion: &Occasion, text: &str, from: Millis, but: &[Day]) -> Option<(Millis, Day)> {
    let named = Named::read(text)?;
    let candidate = |date: NaiveDate| {
        let day = date.to_epoch_days();
        Some((instant(occasion, date)?, day)).filter(|(at, day)| *at >= from && !but.contains(day))
    };
    if let Named::Once(date) = named {
        return candidate(date);
    }
    let year = DateTime::<Utc>::from_timestamp_millis(from.clamp(EARLIEST, LATEST))?.year();
    // With the longest lead of a hundred years.
    let last = year + 4 + i32::try_from(occasion.lead_days / 365).ok()?;
    (year - 1..=last).filter_map(|year| named.in_year(year)).find_map(candidate)
}

fn instant(occasion: &Occasion, date: NaiveDate) -> Option<Millis> {
    let local = date.checked_sub_days(Days::new(occasion.lead_days.into()))?.and_hms_opt(0, 0, 0)?
        + TimeDelta::milliseconds(occasion.at);
    let at = first_instant(occasion.zone, local)?;
    (EARLIEST..=LATEST).contains(&at).then_some(at)
}

/// The first instant at which the clocks of the zone show this time, or, where they skip it, a later one.
fn first_instant(zone: Tz, local: NaiveDateTime) -> Option<Millis> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => return Some(at.timestamp_millis()),
        LocalResult::None => {}
    }
    // Within a skip; at the first of these instants the clocks show an earlier time, at the last one a later.
    let shows_later = |at: Millis| Some(zone.timestamp_millis_opt(at).single()?.naive_local() >= local);
    let utc = local.and_utc().timestamp_millis();
    let (mut before, mut after) = (utc - 2 * DAY, utc + 2 * DAY);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if shows_later(middle)? { after = middle } else { before = middle }
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn occasion(zone: &str, lead_days: u32, hours: f64) -> Occasion {
        let attribute = crate::expr::AttributeRef::Slot(0);
        Occasion { attribute, lead_days, at: (hours * 3_600_000.0) as i64, zone: zone.parse().unwrap() }
    }

    #[track_caller]
    fn check(occasion: &Occasion, text: &str, from: &str, expected: Option<&str>) {
        assert_eq!(next(occasion, text, at(from), &[]).map(|(at, _)| at), expected.map(at), "{text} from {from}");
    }

    #[test]
    fn dates_come_every_year_or_once() {
        let utc = occasion("UTC", 0, 0.0);
        check(&utc, "03-05", "2026-03-04T12:00:00Z", Some("2026-03-05T00:00:00Z"));
        check(&utc, "--03-05", "2026-03-05T00:00:00Z", Some("2026-03-05T00:00:00Z"));
        check(&utc, "03-05", "2026-03-05T00:00:00.001Z", Some("2027-03-05T00:00:00Z"));
        check(&utc, "02-29", "2026-01-01T00:00:00Z", Some("2026-02-28T00:00:00Z"));
        check(&utc, "02-29", "2028-01-01T00:00:00Z", Some("2028-02-29T00:00:00Z"));
        check(&utc, "2026-03-05", "2026-01-01T00:00:00Z", Some("2026-03-05T00:00:00Z"));
        check(&utc, "2026-03-05", "2026-03-06T00:00:00Z", None);
        for text in [
            "",
            "3-5",
            "13-01",
            "02-30",
            "2025-02-29",
            "--2026-03-05",
            "03-05-",
            "0305",
            "2026-3-5",
            "+1-02",
            "--03-05-01",
        ] {
            check(&utc, text, "2026-01-01T00:00:00Z", None);
        }
    }

    #[test]
    fn a_date_left_out_comes_the_next_year() {
        let (_, day) = next(&occasion("UTC", 3, 9.0), "03-05", at("2026-01-01T00:00:00Z"), &[]).unwrap();
        let (again, _) = next(&occasion("UTC", 1, 9.0), "03-05", at("2026-01-01T00:00:00Z"), &[day]).unwrap();
        assert_eq!(again, at("2027-03-04T09:00:00Z"));
    }

    #[test]
    fn leads_go_back_over_the_new_year() {
        check(&occasion("Asia/Shanghai", 3, 9.0), "01-02", "2026-12-01T00:00:00Z", Some("2026-12-30T01:00:00Z"));
        check(&occasion("Asia/Shanghai", 800, 9.0), "01-02", "2026-12-01T00:00:00Z", Some("2027-10-25T01:00:00Z"));
    }

    #[test]
    fn times_that_clocks_skip_or_show_twice() {
        // 2026: forward on 29 March at 01:00 UTC, back on 25 October at 01:00 UTC.
        check(&occasion("Europe/Berlin", 0, 2.5), "03-29", "2026-01-01T00:00:00Z", Some("2026-03-29T01:00:00Z"));
        check(&occasion("Europe/Berlin", 0, 3.0), "03-29", "2026-01-01T00:00:00Z", Some("2026-03-29T01:00:00Z"));
        check(&occasion("Europe/Berlin", 0, 2.5), "10-25", "2026-01-01T00:00:00Z", Some("2026-10-25T00:30:00Z"));
        // Samoa had no 30 December 2011 at all.
        check(&occasion("Pacific/Apia", 0, 12.0), "2011-12-30", "2011-01-01T00:00:00Z", Some("2011-12-30T10:00:00Z"));
    }
}
