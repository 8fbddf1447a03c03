//! The digit width b.

/// How many bits one digit of an identifier has: Pastry's b.
///
/// Only widths that divide 8 are allowed, so that no digit straddles two bytes (G4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Base {
    bits: u32,
}

impl Base {
    /// Hexadecimal digits, the paper's choice and ours.
    pub const B4: Base = Base { bits: 4 };

    /// A digit width of `bits`; `None` unless `bits` is 1, 2, 4 or 8.
    pub const fn new(bits: u32) -> Option<Base> {
        match bits {
            1 | 2 | 4 | 8 => Some(Base { bits }),
            _ => None,
        }
    }

    /// Bits in a digit.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// Values a digit can take: 2^b, the columns of a routing table.
    pub const fn fanout(self) -> usize {
        1 << self.bits
    }

    /// Digits in an identifier: 128 / b, the rows of a routing table.
    pub const fn rows(self) -> usize {
        (128 / self.bits) as usize
    }
}
