//! Is every row of a store what this version reads, and does each customer have all of them?

use tocsin_core::attributes::Attributes;
use tocsin_core::timeline::Chunk;
use tocsin_core::varint::Reader;

use super::keys::{ATTRIBUTES, CHUNK, HEAD, TENANT};
use super::{
    DamagedRow, Head, POSITION_KEY, Position, assemble, read_attributes, read_chunk, read_head, read_position,
    read_timer_key,
};

/// Takes the rows of a store, column by column in the order of their keys.
#[derive(Debug, Default)]
pub struct RowChecker {
    pub customers: u64,
    pub timers: u64,
    pub position: Option<Position>,
    /// The customer whose rows are coming.
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    id: Box<str>,
    lacks_attributes: bool,
    head: Head,
    /// Those that have come, without their bytes.
    sealed: Vec<Chunk>,
}

impl RowChecker {
    /// A row of the column of customers.
    ///
    /// # Errors
    /// If it cannot be read, or the customer's rows before it are not complete.
    pub fn customer(&mut self, key: &[u8], value: &[u8]) -> Result<(), DamagedRow> {
        let (id, kind) = split(key).ok_or(DamagedRow { row: "customer" })?;
        if kind == HEAD {
            self.complete()?;
            let head = read_head(value)?;
            self.customers += 1;
            let lacks_attributes = head.has_attributes;
            self.current = Some(Current { id: id.into(), lacks_attributes, head, sealed: Vec::new() });
            return Ok(());
        }
        let current = self.current.as_mut().filter(|current| *current.id == *id);
        let current = current.ok_or(DamagedRow { row: "customer" })?;
        match kind {
            ATTRIBUTES => {
                current.lacks_attributes = false;
                read_attributes(value).map(drop)
            }
            CHUNK => {
                let mut chunk = read_chunk(key, value)?;
                chunk.bytes = Vec::new();
                current.sealed.push(chunk);
                Ok(())
            }
            _ => Err(DamagedRow { row: "customer" }),
        }
    }

    /// The key of a timer; it has no value.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn timer(&mut self, key: &[u8]) -> Result<(), DamagedRow> {
        self.timers += 1;
        read_timer_key(key).map(drop)
    }

    /// A row about the store as a whole.
    ///
    /// # Errors
    /// If it is the position and cannot be read.
    pub fn meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), DamagedRow> {
        if key == POSITION_KEY {
            self.position = Some(read_position(value)?);
        }
        Ok(())
    }

    /// There are no more rows.
    ///
    /// # Errors
    /// If some are missing.
    pub fn finish(&mut self) -> Result<(), DamagedRow> {
        self.complete()
    }

    fn complete(&mut self) -> Result<(), DamagedRow> {
        match self.current.take() {
            Some(current) if current.lacks_attributes => Err(DamagedRow { row: "attributes" }),
            Some(Current { head, sealed, .. }) => assemble(head, Attributes::default(), sealed).map(drop),
            None => Ok(()),
        }
    }
}

/// Customer and kind of row.
fn split(key: &[u8]) -> Option<(&str, u8)> {
    let mut reader = Reader::new(key);
    reader.byte().filter(|tenant| *tenant == TENANT)?;
    let length = usize::from(u16::from_be_bytes(reader.array()?));
    let (id, rest) = reader.rest().split_at_checked(length)?;
    Some((std::str::from_utf8(id).ok()?, *rest.first()?))
}

#[cfg(test)]
mod tests {
    use tocsin_core::attributes::{Attribute, Attributes};
    use tocsin_core::customer::Customer;
    use tocsin_core::expr::AttributeRef;
    use tocsin_core::value::OwnedValue;

    use super::super::{attributes_key, head_key, timer_key, write_attributes, write_head, write_position};
    use super::*;

    fn attributes() -> Attributes {
        let owned = Attribute { name: AttributeRef::Slot(0), since: 1, value: OwnedValue::Bool(true) };
        [owned].into_iter().collect()
    }

    fn plain() -> Vec<u8> {
        write_head(&Customer::default())
    }

    /// A head that says that there are attributes.
    fn with_attributes() -> Vec<u8> {
        write_head(&Customer { attributes: attributes(), ..Customer::default() })
    }

    #[track_caller]
    fn check(rows: &[(Vec<u8>, Vec<u8>)], expected: Result<u64, &'static str>) {
        let mut checker = RowChecker::default();
        let taken = rows.iter().try_for_each(|(key, value)| checker.customer(key, value));
        let done = taken.and_then(|()| checker.finish()).map(|()| checker.customers);
        assert_eq!(done, expected.map_err(|row| DamagedRow { row }));
    }

    #[test]
    fn customers_have_all_their_rows() {
        let attributes = write_attributes(&attributes());
        check(&[], Ok(0));
        check(&[(head_key("a"), plain()), (head_key("bc"), plain())], Ok(2));
        check(&[(head_key("a"), with_attributes()), (attributes_key("a"), attributes.clone())], Ok(1));
        check(&[(head_key("a"), with_attributes()), (head_key("b"), plain())], Err("attributes"));
        check(&[(head_key("a"), with_attributes())], Err("attributes"));
        check(&[(attributes_key("a"), attributes.clone())], Err("customer"));
        check(&[(head_key("a"), plain()), (attributes_key("b"), attributes)], Err("customer"));
        check(&[(head_key("a"), plain()[..3].to_vec())], Err("customer"));
        check(&[(b"\0\0\x05a".to_vec(), plain())], Err("customer"));
    }

    #[test]
    fn timers_and_the_position_are_read() {
        let mut checker = RowChecker::default();
        checker.timer(&timer_key(5, "a")).unwrap();
        assert_eq!(checker.timer(b"short"), Err(DamagedRow { row: "timer" }));
        checker.meta(b"something else", b"x").unwrap();
        let position = Position { journal_sequence: 7, ..Position::default() };
        checker.meta(POSITION_KEY, &write_position(&position)).unwrap();
        assert_eq!(checker.position, Some(position));
        assert_eq!(checker.meta(POSITION_KEY, b"x"), Err(DamagedRow { row: "position" }));
    }
}
