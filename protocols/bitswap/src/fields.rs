//! The fields of a protobuf message, one after the other, without making anything of them.
//!
//! What is generated for a message reads all of it into lists before anybody can count,
//! and an entry of two bytes becomes a hundred. So reading is by hand (Z4), and writing is
//! not.

use bytes::{Buf, Bytes};

use crate::message::Malformed;

/// What stands in a field. Fields of fixed width are passed over: nobody uses them.
pub(crate) enum Value {
    Number(u64),
    Bytes(Bytes),
    Other,
}

/// Reads fields off the front.
pub(crate) struct Fields(pub(crate) Bytes);

impl Fields {
    /// The next field with its number; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Protobuf)?;
                if length > self.0.len() {
                    return Err(Malformed::Protobuf);
                }
                Value::Bytes(self.0.split_to(length))
            }
            5 => self.skip(4)?,
            _ => return Err(Malformed::Protobuf),
        };
        match key >> 3 {
            0 => Err(Malformed::Protobuf),
            field => Ok(Some((field, value))),
        }
    }

    fn skip(&mut self, length: usize) -> Result<Value, Malformed> {
        if length > self.0.len() {
            return Err(Malformed::Protobuf);
        }
        self.0.advance(length);
        Ok(Value::Other)
    }

    /// Protobuf's own: ten bytes at most, not necessarily the shortest.
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && *byte > 1 {
                return Err(Malformed::Protobuf);
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.0.advance(at + 1);
                return Ok(number);
            }
        }
        Err(Malformed::Protobuf)
    }
}
