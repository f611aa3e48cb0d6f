//! At which instants does a date come round, on the clocks of a time zone?

use super::event::civil;
use super::rule::DateRule;
use super::value::Value;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Year, month and day.
pub type Date = (i64, i64, i64);

/// A few zones by their rules of these years, written down here rather than looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    Utc,
    Shanghai,
    Kolkata,
    /// From the last Sunday of March, 01:00 UTC, to the last Sunday of October, 01:00 UTC.
    Berlin,
    /// From the second Sunday of March, 02:00, to the first Sunday of November, 02:00.
    NewYork,
    /// From the last Sunday of March, 00:00, to the last Sunday of October, 00:00: the clock change skips a midnight.
    Beirut,
}

pub const ZONES: [Zone; 6] = [Zone::Utc, Zone::Shanghai, Zone::Kolkata, Zone::Berlin, Zone::NewYork, Zone::Beirut];

impl Zone {
    pub fn name(self) -> &'static str {
        match self {
            Zone::Utc => "UTC",
            Zone::Shanghai => "Asia/Shanghai",
            Zone::Kolkata => "Asia/Kolkata",
            Zone::Berlin => "Europe/Berlin",
            Zone::NewYork => "America/New_York",
            Zone::Beirut => "Asia/Beirut",
        }
    }

    /// What its clocks are ahead of UTC in winter.
    fn winter(self) -> i64 {
        match self {
            Zone::Utc => 0,
            Zone::Shanghai => 8 * HOUR,
            Zone::Kolkata => 5 * HOUR + 30 * MINUTE,
            Zone::Berlin => HOUR,
            Zone::NewYork => -5 * HOUR,
            Zone::Beirut => 2 * HOUR,
        }
    }

    /// When its summer begins and ends in a year, if it has one.
    fn summer(self, year: i64) -> Option<(i64, i64)> {
        let last_sunday = |month| sunday(year, month, 31);
        let sunday = |month, last| sunday(year, month, last);
        match self {
            Zone::Utc | Zone::Shanghai | Zone::Kolkata => None,
            Zone::Berlin => Some((last_sunday(3) + HOUR, last_sunday(10) + HOUR)),
            Zone::NewYork => Some((sunday(3, 14) + 7 * HOUR, sunday(11, 7) + 6 * HOUR)),
            Zone::Beirut => Some((last_sunday(3) - 2 * HOUR, last_sunday(10) - 3 * HOUR)),
        }
    }

    /// What its clocks show at an instant, as the ms since 1970-01-01 00:00 on them.
    pub fn clock(self, at: i64) -> i64 {
        let year = civil(at.div_euclid(DAY)).0;
        let summer = self.summer(year).is_some_and(|(from, to)| from <= at && at < to);
        at + self.winter() + if summer { HOUR } else { 0 }
    }

    /// The first instant at which its clocks show this; of a time that is skipped, the first after it.
    pub fn instant(self, shown: i64) -> i64 {
        let is_right = |at: &i64| self.clock(*at) == shown;
        let candidates = [shown - self.winter() - HOUR, shown - self.winter()];
        candidates.into_iter().find(is_right).unwrap_or_else(|| {
            // Minute by minute from well before it: clocks are changed at full minutes.
            let start = candidates[0] - 2 * HOUR;
            (0..600).map(|minute| start + minute * MINUTE).find(|at| self.clock(*at) >= shown).unwrap()
        })
    }
}

/// 00:00 UTC of the last Sunday up to a day.
fn sunday(year: i64, month: i64, day: i64) -> i64 {
    // 1970-01-01 was a Thursday.
    let up_to = day_number((year, month, day));
    DAY * (0..7).map(|back| up_to - back).find(|day| day % 7 == 3).unwrap()
}

/// Days since 1970-01-01, by counting.
pub fn day_number(date: Date) -> i64 {
    let january = (1970..date.0).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<i64>();
    january + (1..date.1).map(|month| length(date.0, month)).sum::<i64>() + date.2 - 1
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// What an attribute says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anniversary {
    /// `MM-DD` and `--MM-DD`
    EveryYear(i64, i64),
    Once(Date),
}

/// None if it is no date at all.
pub fn parse(value: &Value) -> Option<Anniversary> {
    let Value::Text(text) = value else { return None };
    let parts: Vec<&str> = text.strip_prefix("--").unwrap_or(text).split('-').collect();
    let number = |text: &str, digits: usize| {
        let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<i64>().unwrap())
    };
    let exists =
        |year: i64, month: i64, day: i64| (1..=12).contains(&month) && (1..=length(year, month)).contains(&day);
    match parts[..] {
        [month, day] => {
            let (month, day) = (number(month, 2)?, number(day, 2)?);
            // Any leap year: it has all days.
            exists(2000, month, day).then_some(Anniversary::EveryYear(month, day))
        }
        [year, month, day] if !text.starts_with("--") => {
            let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
            exists(year, month, day).then_some(Anniversary::Once((year, month, day)))
        }
        _ => None,
    }
}

/// The dates around an instant, each with its own instant. More than enough of them: all of the year, the ones before and after it.
pub fn instants(rule: &DateRule, value: &Value, around: i64) -> Vec<(Date, i64)> {
    let year = civil(around.div_euclid(DAY)).0;
    let dates: Vec<Date> = match parse(value) {
        None => vec![],
        Some(Anniversary::Once(date)) if date.0 < 1971 => vec![],
        Some(Anniversary::Once(date)) => vec![date],
        // 29 February is the 28th in common years.
        Some(Anniversary::EveryYear(month, day)) => {
            (year - 1..=year + 2).map(|year| (year, month, day.min(length(year, month)))).collect()
        }
    };
    let zone = rule.zone.unwrap_or(Zone::Utc);
    let instant = |date: Date| zone.instant((day_number(date) - rule.lead_days) * DAY + rule.at_minutes * MINUTE);
    dates.into_iter().map(|date| (date, instant(date))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(date: Date, hour: i64, minute: i64) -> i64 {
        day_number(date) * DAY + hour * HOUR + minute * MINUTE
    }

    #[test]
    fn days_are_counted() {
        assert_eq!([day_number((1970, 1, 1)), day_number((2000, 3, 1)), day_number((2026, 1, 1))], [0, 11_017, 20_454]);
    }

    /// Dates and offsets as published by the authorities.
    #[test]
    fn clocks() {
        let instant = |zone: Zone, date, hour, minute| zone.instant(shown(date, hour, minute));
        let utc = shown;
        // Fixed ones.
        assert_eq!(instant(Zone::Shanghai, (2026, 1, 1), 9, 0), utc((2026, 1, 1), 1, 0));
        assert_eq!(instant(Zone::Kolkata, (2026, 7, 1), 0, 0), utc((2026, 6, 30), 18, 30));
        // Berlin, 29 March 2026: 02:00 to 03:00; 25 October 2026: 03:00 to 02:00.
        assert_eq!(instant(Zone::Berlin, (2026, 3, 29), 1, 59), utc((2026, 3, 29), 0, 59));
        assert_eq!(instant(Zone::Berlin, (2026, 3, 29), 2, 30), utc((2026, 3, 29), 1, 0));
        assert_eq!(instant(Zone::Berlin, (2026, 3, 29), 3, 0), utc((2026, 3, 29), 1, 0));
        assert_eq!(instant(Zone::Berlin, (2026, 10, 25), 2, 30), utc((2026, 10, 25), 0, 30));
        assert_eq!(instant(Zone::Berlin, (2026, 10, 25), 3, 0), utc((2026, 10, 25), 2, 0));
        // New York, 8 March and 1 November 2026.
        assert_eq!(instant(Zone::NewYork, (2026, 3, 8), 2, 30), utc((2026, 3, 8), 7, 0));
        assert_eq!(instant(Zone::NewYork, (2026, 11, 1), 1, 30), utc((2026, 11, 1), 5, 30));
        // Beirut, 29 March and 25 October 2026, at midnight.
        assert_eq!(instant(Zone::Beirut, (2026, 3, 29), 0, 0), utc((2026, 3, 28), 22, 0));
        assert_eq!(instant(Zone::Beirut, (2026, 10, 24), 23, 30), utc((2026, 10, 24), 20, 30));
    }

    #[test]
    fn what_is_a_date() {
        let parsed = |text: &str| parse(&Value::Text(text.to_owned()));
        assert_eq!(parsed("02-29"), Some(Anniversary::EveryYear(2, 29)));
        assert_eq!(parsed("--12-31"), Some(Anniversary::EveryYear(12, 31)));
        assert_eq!(parsed("2024-02-29"), Some(Anniversary::Once((2024, 2, 29))));
        for no in ["2025-02-29", "02-30", "13-01", "1-01", "--2024-01-01", "", "tomorrow", "00-10", "2024-01-01-01"] {
            assert_eq!(parsed(no), None, "{no}");
        }
    }
}
