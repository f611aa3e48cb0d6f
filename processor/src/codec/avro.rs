//! Avro's binary primitives and single-object framing. Source: Apache Avro specification 1.12, "Binary Encoding" and
//! "Single-object encoding".

use apache_avro::Schema;
use apache_avro::schema::Name;
use std::fmt::Write as _;
use tocsin_core::varint;

/// The first bytes of a single object; then come the fingerprint of its schema and the datum.
pub(crate) const MARKER: [u8; 2] = [0xC3, 0x01];

/// Appends marker and fingerprint.
pub(crate) fn put_header(out: &mut Vec<u8>, fingerprint: u64) {
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&fingerprint.to_le_bytes());
}

/// The fingerprint and the datum of a single object; `None` if the bytes do not begin as one.
pub(crate) fn split_header(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (fingerprint, datum) = bytes.strip_prefix(&MARKER)?.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*fingerprint), datum))
}

/// Avro's `int` and `long`, the index of a union's branch, the length of anything.
pub(crate) fn put_long(out: &mut Vec<u8>, value: i64) {
    varint::put_signed(out, value);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub(crate) fn put_double(out: &mut Vec<u8>, x: f64) {
    out.extend_from_slice(&x.to_le_bytes());
}

/// A value of the union `["null", T]`; `put` writes what is there.
pub(crate) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    put_long(out, i64::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

/// An array or a map as one block; `put` writes one entry.
pub(crate) fn put_block<T>(
    out: &mut Vec<u8>,
    entries: impl ExactSizeIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    if entries.len() > 0 {
        put_long(out, entries.len() as i64);
        entries.for_each(|entry| put(out, entry));
    }
    put_long(out, 0);
}

/// A whole number as the shortest big-endian two's complement, as decimals hold it.
pub(crate) fn put_unscaled(out: &mut Vec<u8>, units: i128) {
    let bytes = units.to_be_bytes();
    let sign = if units < 0 { 0xff } else { 0 };
    let redundant = bytes.windows(2).take_while(|pair| pair[0] == sign && (pair[1] ^ sign) & 0x80 == 0).count();
    put_bytes(out, &bytes[redundant..]);
}

/// A cursor over a datum. Every read returns `None` past the end or on bytes that no writer makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(varint::Reader<'a>);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(varint::Reader::new(bytes))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.rest().len()
    }

    #[inline]
    pub fn long(&mut self) -> Option<i64> {
        self.0.signed()
    }

    pub fn int(&mut self) -> Option<i32> {
        i32::try_from(self.long()?).ok()
    }

    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.long()?).ok()?;
        self.0.take(length)
    }

    #[inline]
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub fn boolean(&mut self) -> Option<bool> {
        match self.0.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub fn float(&mut self) -> Option<f32> {
        self.0.array().map(f32::from_le_bytes)
    }

    pub fn double(&mut self) -> Option<f64> {
        self.0.array().map(f64::from_le_bytes)
    }

    /// A value of the union `["null", T]`.
    #[expect(clippy::option_option, reason = "the outer one is damage, the inner one a null")]
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.long()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    /// The number of entries in the next block of an array or map, 0 at its end. Never more than the bytes that are
    /// left, so that a hostile count cannot make its reader loop or allocate beyond the size of the payload.
    pub fn block(&mut self) -> Option<usize> {
        let mut count = self.long()?;
        if count < 0 {
            // The writer also tells the size of the block, for readers that want to skip it.
            self.long()?;
            count = count.checked_neg()?;
        }
        usize::try_from(count).ok().filter(|count| *count <= self.0.rest().len())
    }

    /// An array; `read` reads one entry.
    pub fn array<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut entries = Vec::new();
        loop {
            let count = self.block()?;
            if count == 0 {
                return Some(entries);
            }
            for _ in 0..count {
                entries.push(read(self)?);
            }
        }
    }
}

/// The fingerprint of a schema in single objects: CRC-64-AVRO of its parsing canonical form.
pub(crate) fn fingerprint(schema: &Schema) -> Result<u64, String> {
    let mut form = String::new();
    canonical_form(schema, &mut form)?;
    Ok(rabin(form.as_bytes()))
}

/// The parsing canonical form. The one of `apache-avro` 0.22 keeps `precision` and `scale` and writes a `long` with a
/// logical type as an object, against the specification and every other implementation.
fn canonical_form(schema: &Schema, out: &mut String) -> Result<(), String> {
    match schema {
        Schema::Record(record) => {
            let _ = write!(out, "{{\"name\":\"{}\",\"type\":\"record\",\"fields\":[", full_name(&record.name));
            for (place, field) in record.fields.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                let _ = write!(out, "{comma}{{\"name\":\"{}\",\"type\":", field.name);
                canonical_form(&field.schema, out)?;
                out.push('}');
            }
            out.push_str("]}");
        }
        Schema::Enum(choice) => {
            let symbols = choice.symbols.join("\",\"");
            let name = full_name(&choice.name);
            let _ = write!(out, "{{\"name\":\"{name}\",\"type\":\"enum\",\"symbols\":[\"{symbols}\"]}}");
        }
        Schema::Union(union) => {
            out.push('[');
            for (place, branch) in union.variants().iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                canonical_form(branch, out)?;
            }
            out.push(']');
        }
        Schema::Array(array) => {
            out.push_str("{\"type\":\"array\",\"items\":");
            canonical_form(&array.items, out)?;
            out.push('}');
        }
        Schema::Map(map) => {
            out.push_str("{\"type\":\"map\",\"values\":");
            canonical_form(&map.types, out)?;
            out.push('}');
        }
        Schema::Ref { name } => {
            let _ = write!(out, "\"{}\"", full_name(name));
        }
        plain => {
            let name = primitive(plain).ok_or("a type that Tocsin does not use")?;
            let _ = write!(out, "\"{name}\"");
        }
    }
    Ok(())
}

fn full_name(name: &Name) -> String {
    name.fullname(None)
}

fn primitive(schema: &Schema) -> Option<&'static str> {
    Some(match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int => "int",
        Schema::Long | Schema::TimestampMillis => "long",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes | Schema::Decimal(_) => "bytes",
        Schema::String => "string",
        _ => return None,
    })
}

const RABIN_EMPTY: u64 = 0xc15d_213a_a4d7_a795;

const RABIN_TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut fingerprint = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            fingerprint = (fingerprint >> 1) ^ (RABIN_EMPTY & (fingerprint & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = fingerprint;
        byte += 1;
    }
    table
};

/// CRC-64-AVRO. Source: Apache Avro specification 1.12, "Schema Fingerprints".
fn rabin(bytes: &[u8]) -> u64 {
    bytes.iter().fold(RABIN_EMPTY, |hash, byte| (hash >> 8) ^ RABIN_TABLE[usize::from(hash as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unscaled_numbers_take_the_fewest_bytes() {
        for (units, bytes) in
            [(0, &[0][..]), (127, &[127]), (128, &[0, 128]), (-1, &[255]), (-128, &[128]), (-129, &[255, 127])]
        {
            let mut out = Vec::new();
            put_unscaled(&mut out, units);
            assert_eq!(Reader::new(&out).bytes(), Some(bytes), "{units}");
        }
    }

    #[test]
    fn the_fingerprint_is_that_of_the_specification() {
        // From the example in `apache-avro`, which agrees with it for schemas without logical types.
        assert_eq!(rabin(b"hello world").to_le_bytes(), [0x60, 0x33, 0x5b, 0xa6, 0xd0, 0x41, 0x55, 0x28]);
    }

    #[test]
    fn hostile_lengths_are_refused() {
        for bytes in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[3], &[2], &[0x80; 12]] {
            assert_eq!(Reader::new(bytes).bytes(), None);
            assert_eq!(Reader::new(bytes).array(Reader::long), None);
        }
    }
}
