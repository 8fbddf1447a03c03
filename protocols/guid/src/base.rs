//! The digit width b.

/// How many bits one digit of an identifier has: Pastry's b.
///
/// 3 does not divide 128: of its 43 digits the last has two bits (G4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Base {
    bits: u32,
}

impl Base {
    /// Hexadecimal digits, the paper's choice and ours.
    pub const B4: Base = Base { bits: 4 };

    /// A digit width of `bits`; `None` unless `bits` is 1, 2, 3, 4 or 8.
    pub const fn new(bits: u32) -> Option<Base> {
        match bits {
            1..=4 | 8 => Some(Base { bits }),
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

    /// Digits in an identifier: 128 / b rounded up, the rows of a routing table.
    pub const fn rows(self) -> usize {
        128_u32.div_ceil(self.bits) as usize
    }
}
