//! The headers of a record of the input, in one piece of memory: most have none, and none is looked at before the record
//! becomes a dead letter.

use std::fmt;

use tocsin_core::varint::{self, Reader};

/// Names and values, in order, each behind its length.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// Puts headers into a buffer, in place of what is there.
    pub fn pack<'h>(headers: impl Iterator<Item = (&'h [u8], &'h [u8])>, into: &'a mut Vec<u8>) -> Self {
        into.clear();
        for (name, value) in headers {
            varint::put_bytes(into, name);
            varint::put_bytes(into, value);
        }
        Self(into)
    }

    /// What [`Self::bytes`] gave.
    #[must_use]
    pub const fn packed(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Names and values. A value that is null counts as empty.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || Some((reader.bytes()?, reader.bytes()?)))
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &[u8])]) {
        let mut buffer = b"what was there".to_vec();
        let given = headers.iter().map(|(name, value)| (name.as_bytes(), *value));
        let packed = Headers::pack(given.clone(), &mut buffer);
        assert!(packed.iter().eq(given.clone()));
        assert!(Headers::packed(packed.bytes()).iter().eq(given));
    }

    #[test]
    fn headers_come_out_as_they_went_in() {
        check(&[]);
        check(&[("a", b"1"), ("", b""), ("a", &[0xff; 300]), ("traceparent", b"00-01")]);
    }
}
