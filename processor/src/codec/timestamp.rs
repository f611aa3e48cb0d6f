//! Instants as text: RFC 3339, and the form in which records carry them.

use tocsin_core::time::{DAY, EARLIEST, LATEST, Millis};

const PER_SECOND: i64 = 1_000;

/// Reads RFC 3339 with any offset. Digits beyond milliseconds are cut off, a leap second is the first second of the
/// next minute. `None` if the text is no instant; the range is for the caller to check.
#[must_use]
pub fn parse(text: &str) -> Option<Millis> {
    parse_utc(text.as_bytes()).or_else(|| Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()))
}

/// The common forms, `YYYY-MM-DDTHH:MM:SSZ` with up to nine fraction digits, in a tenth of the time.
fn parse_utc(text: &[u8]) -> Option<Millis> {
    let (seconds, rest) = text.split_first_chunk::<19>()?;
    if [seconds[4], seconds[7], seconds[10], seconds[13], seconds[16]] != *b"--T::" {
        return None;
    }
    let pair = |at: usize| Some(i64::from(digit(seconds[at])? * 10 + digit(seconds[at + 1])?));
    let (year, month, day) = (pair(0)? * 100 + pair(2)?, pair(5)?, pair(8)?);
    let (hour, minute, second) = (pair(11)?, pair(14)?, pair(17)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let second = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(second * PER_SECOND + fraction(rest)?)
}

/// Milliseconds of `.123Z` or `Z`.
fn fraction(text: &[u8]) -> Option<i64> {
    let digits = match text.strip_suffix(b"Z")? {
        [] => return Some(0),
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => digits,
        _ => return None,
    };
    let mut ms = 0;
    for (place, byte) in digits.iter().enumerate() {
        let digit = i64::from(digit(*byte)?);
        ms += digit * [100, 10, 1].get(place).copied().unwrap_or(0);
    }
    Some(ms)
}

fn digit(byte: u8) -> Option<u8> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Source: Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: year, month and day. Same source, `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Appends `2026-01-01T00:00:00.000Z`. An instant outside the range of events is written as the nearest one in it: the
/// form has four digits for the year.
pub fn write(out: &mut Vec<u8>, at: Millis) {
    let at = at.clamp(EARLIEST, LATEST);
    let (year, month, day) = civil_from_days(at.div_euclid(DAY));
    let ms = at.rem_euclid(DAY);
    let second = ms / PER_SECOND;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (end, length, value) in [
        (4, 4, year),
        (7, 2, month),
        (10, 2, day),
        (13, 2, second / 3_600),
        (16, 2, second / 60 % 60),
        (19, 2, second % 60),
        (23, 3, ms % PER_SECOND),
    ] {
        let mut rest = value;
        for place in (end - length..end).rev() {
            text[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_instants() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-01-01T00:00:00Z", Some(1_767_225_600_000)),
            ("2026-01-01T08:00:00+08:00", Some(1_767_225_600_000)),
            ("2026-01-01t00:00:00.5z", Some(1_767_225_600_500)),
            ("2026-01-01T00:00:00.123999999999Z", Some(1_767_225_600_123)),
            ("1969-12-31T23:59:59.9999Z", Some(-1)),
            ("1969-12-31T23:59:59.9999-00:00", Some(-1)),
            ("2024-02-29T12:00:00.25Z", Some(1_709_208_000_250)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("0001-01-01T00:00:00Z", Some(EARLIEST)),
            ("9999-12-31T23:59:59.999Z", Some(LATEST)),
            ("2026-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00.Z", None),
            ("2026-01-01", None),
            ("1767225600000", None),
            ("", None),
            ("２026-01-01T00:00:00Z", None),
        ] {
            assert_eq!(parse(text), at, "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_instants_read_back_here_and_elsewhere(at in EARLIEST..=LATEST) {
            let mut text = Vec::new();
            write(&mut text, at);
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(parse_utc(text.as_bytes()), Some(at));
            prop_assert_eq!(chrono::DateTime::parse_from_rfc3339(&text).unwrap().timestamp_millis(), at);
        }
    }
}
