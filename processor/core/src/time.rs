//! Event time and durations, both in whole milliseconds.
//!
//! Plain integers rather than wrapped ones: every module that handles time does arithmetic on it. Names carry the
//! meaning (`occurred_at`, `over`, `due`), this module the limits within which no sum can overflow.

/// An instant of event time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
pub type Millis = i64;

/// An instant or none, in the room of an instant: an [`Option`] of one takes twice as much, and customers hold many. None is
/// less than any.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaybeMillis(Millis);

impl MaybeMillis {
    /// Far before [`EARLIEST`], and before what any sum can come to.
    pub const NONE: Self = Self(Millis::MIN);

    #[inline]
    #[must_use]
    pub fn get(self) -> Option<Millis> {
        (self != Self::NONE).then_some(self.0)
    }
}

impl Default for MaybeMillis {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Millis> for MaybeMillis {
    #[inline]
    fn from(instant: Millis) -> Self {
        Self(instant)
    }
}

impl From<Option<Millis>> for MaybeMillis {
    #[inline]
    fn from(instant: Option<Millis>) -> Self {
        instant.map_or(Self::NONE, Self)
    }
}

impl std::fmt::Debug for MaybeMillis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

/// A length of time in milliseconds.
pub type Duration = i64;

pub const SECOND: Duration = 1_000;
pub const MINUTE: Duration = 60 * SECOND;
pub const HOUR: Duration = 60 * MINUTE;
pub const DAY: Duration = 24 * HOUR;

/// Earliest instant an event may carry: 0001-01-01T00:00:00Z.
pub const EARLIEST: Millis = -62_135_596_800_000;
/// Latest instant an event may carry: 9999-12-31T23:59:59.999Z.
pub const LATEST: Millis = 253_402_300_799_999;
/// Longest duration a rule or a setting may name: 36,525 days, a hundred years.
pub const LONGEST: Duration = 36_525 * DAY;

/// Reads a duration as rules and settings write it: `90d`, `36h`, `1d12h`, `250ms`.
///
/// Units are `ms s m h d w`, whole numbers, largest unit first is not required. `0s` is allowed, an empty text is not.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = "write whole numbers with the units ms, s, m, h, d, w, such as `90d` or `1d12h`";
    let mut rest = text;
    let mut total: Duration = 0;
    if rest.is_empty() {
        return Err(format!("an empty duration; {expected}"));
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            "w" => 7 * DAY,
            _ => return Err(format!("`{text}` is not a duration; {expected}")),
        };
        let number: Duration = number.parse().map_err(|_| format!("`{text}` is not a duration; {expected}"))?;
        total = number
            .checked_mul(unit_ms)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= LONGEST)
            .ok_or_else(|| format!("`{text}` is longer than 36525d, the longest duration there is"))?;
        rest = tail;
    }
    Ok(total)
}

/// Writes a duration the way [`parse_duration`] reads it, in the fewest parts.
#[must_use]
pub fn format_duration(ms: Duration) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut rest = ms;
    let mut text = String::new();
    for (unit_ms, unit) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s"), (1, "ms")] {
        if rest / unit_ms != 0 {
            text.push_str(&(rest / unit_ms).to_string());
            text.push_str(unit);
            rest %= unit_ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_or_none_is_told_apart_and_ordered() {
        assert_eq!((MaybeMillis::default().get(), MaybeMillis::from(None).get()), (None, None));
        for instant in [EARLIEST - LONGEST, -1, 0, LATEST + LONGEST] {
            assert_eq!(MaybeMillis::from(instant).get(), Some(instant));
            assert_eq!(MaybeMillis::from(Some(instant)), instant.into());
            assert!(MaybeMillis::NONE < instant.into());
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in
            [("90d", 90 * DAY), ("36h", 36 * HOUR), ("1d12h", 36 * HOUR), ("0s", 0), ("250ms", 250), ("2w", 14 * DAY)]
        {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
            assert_eq!(parse_duration(&format_duration(ms)), Ok(ms), "{text}");
        }
        for text in ["", "90", "d", "1.5d", "-1d", "1 d", "1y", "99999999999999d", "36526d", "1dd"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
