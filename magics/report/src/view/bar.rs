//! A bar as blocks in text, and as boxes of their widths in HTML.

use unicode_width::UnicodeWidthStr;

use super::html::escape;
use super::printable;
use super::svg::css;
use super::text::wrap;
use crate::bar::{Bar, Part};
use crate::drawing::Ink;

/// Letters that can be told apart without colours. Of a bar with more parts the last ones, which are small, share one.
const BLOCKS: [char; 8] = ['█', '▒', '░', '▚', '#', '=', '+', '.'];

/// The parts by what they are drawn with.
fn groups(bar: &Bar) -> impl Iterator<Item = &[Part]> {
    let alone = match bar.parts.len() > BLOCKS.len() {
        true => BLOCKS.len() - 1,
        false => bar.parts.len(),
    };
    let (alone, shared) = bar.parts.split_at(alone);
    let shared = Some(shared).filter(|shared| !shared.is_empty());
    alone.chunks(1).chain(shared)
}

/// The parts of a group in words.
fn legend(bar: &Bar, parts: &[Part]) -> String {
    let one = |part: &Part| {
        let (name, words) = (printable(&part.name), printable(&part.words));
        format!("{name} {words} ({:.0} %)", bar.percent(part))
    };
    parts.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A line of blocks, and what they stand for.
pub(super) fn lines(bar: &Bar, width: usize) -> Vec<String> {
    if bar.whole() <= 0.0 {
        return Vec::new();
    }
    let title = printable(&bar.title);
    let room = width.saturating_sub(title.width() + 1);
    let mut line = format!("{title} ");
    let (mut before, mut drawn) = (0.0, 0);
    for (parts, block) in groups(bar).zip(BLOCKS) {
        before += amount(parts);
        // Rounding where a part ends, and not how long it is, makes the whole as long as it should be.
        let end = (before / bar.whole() * room as f64).round() as usize;
        line.extend(std::iter::repeat_n(
            block,
            end.min(room).saturating_sub(drawn),
        ));
        drawn = end.min(room).max(drawn);
    }
    let legends = groups(bar).map(|parts| legend(bar, parts));
    let legends: Vec<String> = legends
        .zip(BLOCKS)
        .map(|(words, block)| format!("{block} {words}"))
        .collect();
    let mut lines = vec![line];
    lines.extend(wrap(&legends.join("  "), "", width));
    lines
}

fn amount(parts: &[Part]) -> f64 {
    parts.iter().map(|part| part.amount).sum()
}

/// Boxes side by side. Their widths and colours are plain values, which front ends keep.
pub(super) fn html(bar: &Bar) -> String {
    if bar.whole() <= 0.0 {
        return String::new();
    }
    let mut boxes = String::new();
    let mut legends = String::new();
    for (tone, parts) in groups(bar).enumerate() {
        let words = escape(&legend(bar, parts));
        let colour = css(Ink::Tone(tone));
        let percent = 100.0 * amount(parts) / bar.whole();
        boxes += &format!(
            "<div title=\"{words}\" style=\"width:{percent:.2}%;height:14px;background:{colour}\"></div>"
        );
        legends += &format!(
            "<span style=\"display:inline-block;border-left:10px solid {colour};padding-left:5px;margin:0 16px 5px 0;line-height:1.1\">{words}</span> "
        );
    }
    format!(
        "<div style=\"margin:6px 0;text-align:left\">{}<div role=\"img\" aria-label=\"{}\" style=\"display:flex;width:100%;margin:3px 0\">{boxes}</div>{legends}</div>",
        escape(&bar.title),
        escape(&bar.title),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Bar {
        let part = |name: &str, amount: f64| Part {
            name: name.into(),
            words: format!("{amount} us"),
            amount,
        };
        Bar {
            title: "time".into(),
            parts: vec![part("Python", 10.0), part("<b>", 30.0), part("BLAS", 60.0)],
        }
    }

    #[test]
    fn blocks_fill_the_line() {
        insta::assert_snapshot!(lines(&sample(), 45).join("\n"), @r"
        time ████▒▒▒▒▒▒▒▒▒▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░
        █ Python 10 us (10 %)  ▒ <b> 30 us (30 %)  ░
        BLAS 60 us (60 %)
        ");
        assert!(lines(&Bar::default(), 80).is_empty());
    }

    #[test]
    fn no_two_parts_look_the_same_but_the_small_ones_that_are_named_together() {
        let part = |number: usize| Part {
            name: format!("p{number}"),
            words: String::new(),
            amount: (20 - number) as f64,
        };
        let bar = Bar {
            title: "memory".into(),
            parts: (0..10).map(part).collect(),
        };
        let text = lines(&bar, 300);
        for block in BLOCKS {
            assert_eq!(
                text[1].matches(&format!("{block} p")).count(),
                1,
                "{text:?}"
            );
        }
        assert!(text[1].contains("p7  (8 %), p8  (8 %), p9"));
        assert_eq!(html(&bar).matches("border-left").count(), 8);
    }

    #[test]
    fn boxes_have_their_widths_and_nothing_escapes() {
        let boxes = html(&sample());
        assert!(boxes.contains("width:60.00%") && !boxes.contains("<b>"));
        assert!(html(&Bar::default()).is_empty());
    }
}
