//! A row of values as a row of blocks, for text: eight heights, one letter a piece.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values between 0 and the most, in at most so many letters: of several values in one letter the mean counts. The lowest
/// block is next to nothing, and where nothing is known there is a dot.
#[must_use]
pub fn blocks(values: &[f64], most: f64, letters: usize) -> String {
    let letter = |piece: Vec<f64>| {
        let known: Vec<f64> = piece.into_iter().filter(|one| one.is_finite()).collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let share = mean / most;
        match (share * 7.0).ceil() {
            _ if known.is_empty() => '·',
            _ if share < 0.01 || most <= 0.0 => BLOCKS[0],
            place => BLOCKS[(place as usize).clamp(1, 7)],
        }
    };
    pieces(values, letters).map(letter).collect()
}

/// Divides values into so many pieces at the most, as evenly as can be.
pub fn pieces<T: Clone>(values: &[T], most: usize) -> impl Iterator<Item = Vec<T>> {
    let count = values.len().min(most);
    let edge = move |place: usize| place * values.len() / count.max(1);
    (0..count).map(move |place| values[edge(place)..edge(place + 1)].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_follow_the_values() {
        assert_eq!(
            blocks(&[0.0, 12.5, 50.0, 99.0, 100.0, 300.0], 100.0, 9),
            "▁▂▅███"
        );
        assert_eq!(blocks(&[0.0, 100.0, 100.0, 100.0], 100.0, 2), "▅█");
        assert_eq!(blocks(&[f64::NAN, 5.0], 5.0, 9), "·█");
        assert_eq!(blocks(&[], 5.0, 9), "");
        assert_eq!(blocks(&[0.0], 0.0, 9), "▁");
    }

    #[test]
    fn pieces_have_every_value_once() {
        for (length, most) in [(7, 3), (600, 60), (3, 9), (0, 4)] {
            let values: Vec<usize> = (0..length).collect();
            let divided: Vec<Vec<usize>> = pieces(&values, most).collect();
            assert!(divided.len() <= most && divided.iter().all(|one| !one.is_empty()));
            assert_eq!(divided.concat(), values);
        }
    }
}
