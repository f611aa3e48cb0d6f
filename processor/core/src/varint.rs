//! Variable-length integers as in Protocol Buffers: seven bits a byte, least significant first, zigzag for signed.

/// Appends `value`.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed `value`, small magnitudes in few bytes.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Bytes that [`put_signed`] appends.
#[must_use]
pub fn signed_len(value: i64) -> usize {
    let raw = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends the length of `bytes`, then `bytes`.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A cursor over packed bytes. Every read returns `None` past the end or on bytes no writer makes, so that a damaged
/// row is an error of its reader and never a panic.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    #[inline]
    pub fn unsigned(&mut self) -> Option<u64> {
        let first = *self.bytes.first()?;
        if first < 0x80 {
            self.bytes = &self.bytes[1..];
            return Some(u64::from(first));
        }
        // Eight bytes at once, if there are as many and the last one is among them: the sevens of bits move together in
        // three steps (as in Protocol Buffers' and many other decoders).
        if let Some(word) = self.bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) {
            let ends = !word & 0x8080_8080_8080_8080;
            if ends != 0 {
                let bits = word & (ends ^ (ends - 1)) & 0x7f7f_7f7f_7f7f_7f7f;
                let bits = (bits & 0x007f_007f_007f_007f) | ((bits & 0x7f00_7f00_7f00_7f00) >> 1);
                let bits = (bits & 0x0000_3fff_0000_3fff) | ((bits & 0x3fff_0000_3fff_0000) >> 2);
                let bits = (bits & 0x0000_0000_0fff_ffff) | ((bits & 0x0fff_ffff_0000_0000) >> 4);
                self.bytes = &self.bytes[ends.trailing_zeros() as usize / 8 + 1..];
                return Some(bits);
            }
        }
        self.unsigned_by_bytes()
    }

    fn unsigned_by_bytes(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    #[inline]
    pub fn signed(&mut self) -> Option<i64> {
        let raw = self.unsigned()?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline]
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.unsigned()?;
        self.take(usize::try_from(length).ok()?)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_round_trip() {
        for value in [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN, 1_700_000_000_000] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value);
            assert_eq!(signed_len(value), bytes.len());
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.signed(), Some(value));
            assert!(reader.is_empty());
        }
        assert_eq!(Reader::new(&[0x80; 11]).unsigned(), None);
        assert_eq!(Reader::new(&[5, 1, 2]).bytes(), None);
    }
}
