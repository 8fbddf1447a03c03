//! Finding the nearest of many points on a square without looking at all of them.

/// Cells on a side: a few nodes a cell at 100,000.
const SIDE: usize = 128;

/// Points in cells of equal size.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    /// Length of the square's side.
    extent: f64,
    cells: Vec<Vec<(u32, f64, f64)>>,
}

impl Grid {
    pub(super) fn new(extent: f64) -> Grid {
        Grid {
            extent,
            cells: vec![Vec::new(); SIDE * SIDE],
        }
    }

    fn coordinate(&self, at: f64) -> usize {
        ((at / self.extent * SIDE as f64) as usize).min(SIDE - 1)
    }

    pub(super) fn insert(&mut self, name: u32, (x, y): (f64, f64)) {
        let cell = self.coordinate(y) * SIDE + self.coordinate(x);
        self.cells[cell].push((name, x, y));
    }

    pub(super) fn remove(&mut self, name: u32, (x, y): (f64, f64)) {
        let cell = self.coordinate(y) * SIDE + self.coordinate(x);
        self.cells[cell].retain(|(other, ..)| *other != name);
    }

    /// The point nearest to a place, but `but`. Cells are searched in growing squares
    /// until no cell farther out can have a nearer one.
    pub(super) fn nearest(&self, (x, y): (f64, f64), but: u32) -> Option<u32> {
        let (column, row) = (self.coordinate(x) as i64, self.coordinate(y) as i64);
        let width = self.extent / SIDE as f64;
        let mut best: Option<(f64, u32)> = None;
        for radius in 0..SIDE as i64 {
            // Whatever lies in this square ring is at least this far away.
            let least = (radius - 1).max(0) as f64 * width;
            if best.is_some_and(|(distance, _)| distance < least) {
                break;
            }
            for (column, row) in square(column, row, radius) {
                for (name, ox, oy) in &self.cells[row * SIDE + column] {
                    let found = ((x - ox).hypot(y - oy), *name);
                    if *name != but && best.is_none_or(|best| found < best) {
                        best = Some(found);
                    }
                }
            }
        }
        best.map(|(_, name)| name)
    }
}

/// The cells whose distance in rows or columns is exactly `radius`.
fn square(column: i64, row: i64, radius: i64) -> impl Iterator<Item = (usize, usize)> {
    let inside = 0..SIDE as i64;
    (-radius..=radius)
        .flat_map(move |dy| {
            // Between its first and last line a square ring has two cells a line.
            let step = if dy.abs() == radius || radius == 0 {
                1
            } else {
                2 * radius
            };
            (-radius..=radius)
                .step_by(step as usize)
                .map(move |dx| (column + dx, row + dy))
        })
        .filter(move |(column, row)| inside.contains(column) && inside.contains(row))
        .map(|(column, row)| (column as usize, row as usize))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_nearest_is_the_nearest(
            points in prop::collection::vec((0f64..1000.0, 0f64..1000.0), 1..60),
            place in (0f64..1000.0, 0f64..1000.0),
        ) {
            let mut grid = Grid::new(1000.0);
            for (name, point) in points.iter().enumerate() {
                grid.insert(name as u32, *point);
            }
            let distance = |name: &u32| {
                let point = points[*name as usize];
                (point.0 - place.0).hypot(point.1 - place.1)
            };
            let expected = (1..points.len() as u32).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            prop_assert_eq!(grid.nearest(place, 0), expected);
        }
    }
}
