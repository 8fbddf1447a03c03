//! Latencies measured between real sites, from a file.

use std::path::Path;

use super::NetworkError;
use crate::Node;
use crate::dice::Dice;

/// Two nodes at one site are this far apart, in microseconds: one switch.
const SAME_SITE_MICROS: u64 = 100;

/// Sites, and the nodes at them.
#[derive(Clone, Debug)]
pub struct Matrix {
    sites: usize,
    /// One way in microseconds, by row.
    micros: Vec<u32>,
    places: Vec<u32>,
}

impl Matrix {
    /// Reads one row a line, numbers apart by blanks or commas; `#` begins a comment.
    ///
    /// # Errors
    /// When the file cannot be read, or is not square, or has something else in it.
    pub fn read(file: &Path) -> Result<Matrix, NetworkError> {
        let text = std::fs::read_to_string(file).map_err(|source| NetworkError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        Matrix::parse(&text).map_err(|(line, reason)| NetworkError::Malformed {
            file: file.to_owned(),
            line,
            reason,
        })
    }

    fn parse(text: &str) -> Result<Matrix, (usize, String)> {
        let mut micros = Vec::new();
        let (mut sites, mut rows, mut last) = (0, 0, 1);
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let cells = line.split([' ', '\t', ',']).filter(|cell| !cell.is_empty());
            let before = micros.len();
            for cell in cells {
                let latency: u32 = cell.parse().map_err(|_| {
                    let cell: String = cell.chars().take(40).collect();
                    (number + 1, format!("'{cell}' is no number of microseconds"))
                })?;
                micros.push(latency);
            }
            let width = micros.len() - before;
            if width == 0 {
                continue;
            }
            if rows == 0 {
                sites = width;
            } else if width != sites {
                let reason = format!("{width} numbers where the first row has {sites}");
                return Err((number + 1, reason));
            }
            rows += 1;
            last = number + 1;
        }
        if rows != sites || rows == 0 {
            return Err((last, format!("{rows} rows of {sites} numbers: not square")));
        }
        Ok(Matrix {
            sites,
            micros,
            places: Vec::new(),
        })
    }

    pub(super) fn attach(&mut self, dice: &mut Dice) {
        self.places.push(dice.below(self.sites) as u32);
    }

    pub(super) fn latency(&self, from: Node, to: Node) -> u64 {
        let (a, b) = (self.places[from as usize], self.places[to as usize]);
        if a == b {
            return SAME_SITE_MICROS;
        }
        self.micros[a as usize * self.sites + b as usize].into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_of_numbers_is_read_and_anything_else_is_refused_by_line() {
        let matrix = Matrix::parse("# three sites\n0 10 20\n11, 0, 30\n\n21 31 0\n").unwrap();
        assert_eq!(matrix.sites, 3);
        assert_eq!(matrix.micros, [0, 10, 20, 11, 0, 30, 21, 31, 0]);
        assert_eq!(Matrix::parse("0 1\n2 x\n").unwrap_err().0, 2);
        assert_eq!(Matrix::parse("0 1\n2\n").unwrap_err().0, 2);
        assert_eq!(Matrix::parse("0 1\n").unwrap_err().0, 1);
        assert!(Matrix::parse("").is_err());
    }
}
