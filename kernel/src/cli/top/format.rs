//! Numbers and names as people read them. Sizes are in units of 1000, as in the reports of the magics.

use unicode_width::UnicodeWidthChar as _;

pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit < UNITS.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 99.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"))
}

pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes} min {rest} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// A library's name without what wheels and ABIs put into it: `libopenblas-6cdc3b4a.so.0` is `libopenblas`.
pub fn library(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.split_once(".so").map_or(file, |(stem, _)| stem);
    let stem = stem.split_once(".cpython-").map_or(stem, |(stem, _)| stem);
    let mut stem = stem.trim_end_matches(".abi3");
    let is_hash = |tag: &str| tag.len() == 8 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    while let Some((before, _)) = stem.rsplit_once(['-', '.']).filter(|(_, tag)| is_hash(tag)) {
        stem = before;
    }
    stem
}

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}

/// A text in so many columns and no more; what is too long ends by an ellipsis.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |letter: &char| {
        let taken = letter.width().unwrap_or(0);
        let fits = taken <= left;
        left = left.saturating_sub(taken);
        fits
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A text in exactly so many columns.
pub fn pad(text: &str, columns: usize) -> String {
    let mut cut = cut(text, columns);
    let missing = columns.saturating_sub(width(&cut));
    cut.extend(std::iter::repeat_n(' ', missing));
    cut
}

/// A text in lines of so many columns, broken between words.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines
            .last_mut()
            .filter(|line| line.is_empty() || width(line) + 1 + width(word) <= columns);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A curve in rows of so many columns, the newest value at the right.
pub fn chart(
    values: &[Option<f64>],
    (from, to): (f64, f64),
    columns: usize,
    rows: usize,
) -> Vec<String> {
    const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(columns)..];
    let eighths = |value: f64| {
        let part = ((value - from) / (to - from).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        // What is there at all is seen.
        ((part * (8 * rows) as f64).round() as usize).max(1)
    };
    let row = |row: usize| {
        let below = 8 * (rows - 1 - row);
        let step = |value: &Option<f64>| {
            let high = value.map_or(0, eighths);
            STEPS[high.saturating_sub(below).min(8)]
        };
        let empty = std::iter::repeat_n(' ', columns - shown.len());
        empty.chain(shown.iter().map(step)).collect()
    };
    (0..rows).map(row).collect()
}

/// A bar in so many columns.
pub fn bar(part: f64, columns: usize) -> String {
    const STEPS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (part.clamp(0.0, 1.0) * (8 * columns) as f64).round() as usize;
    let mut text: String = std::iter::repeat_n('█', eighths / 8).collect();
    if !eighths.is_multiple_of(8) {
        text.push(STEPS[eighths % 8]);
    }
    pad(&text, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_the_unit_that_says_enough() {
        let sizes = [0, 999, 1000, 99_949_999, 103_400_000].map(size);
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "99.9 MB", "103 MB"]);
        let times = [0.9, 64.0, 7300.0].map(duration);
        assert_eq!(times, ["0 s", "1 min 4 s", "2 h 1 min"]);
        assert_eq!([percent(None), percent(Some(61.6))], ["–", "62"]);
    }

    #[test]
    fn libraries_lose_their_tags() {
        let names = [
            "libgfortran-040039e1-0352e75f.so.5",
            "_umath.cpython-311-x86_64-linux-gnu.so",
            "x.abi3.so",
            "libc.so.6",
            "python3.11",
        ];
        let short = ["libgfortran", "_umath", "x", "libc", "python3.11"];
        assert_eq!(names.map(library), short);
    }

    #[test]
    fn text_takes_the_columns_it_was_given() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(pad("漢字漢字", 4), "漢… ");
        assert_eq!(cut("ab", 0), "");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(bar(0.5, 3), "█▌ ");
    }

    #[test]
    fn a_curve_ends_at_the_right() {
        let values = [Some(0.0), None, Some(50.0), Some(100.0)];
        assert_eq!(chart(&values, (0.0, 100.0), 5, 1), [" ▁ ▄█"]);
        assert_eq!(chart(&values, (0.0, 100.0), 2, 2), [" █", "██"]);
    }
}
