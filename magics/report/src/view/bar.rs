//! A bar as blocks in text, and as boxes of their widths in HTML.

use unicode_width::UnicodeWidthStr;

use super::html::escape;
use super::printable;
use super::svg::css;
use super::text::wrap;
use crate::bar::Bar;
use crate::drawing::Ink;

/// Letters that can be told apart without colours.
const BLOCKS: [char; 4] = ['█', '▒', '░', '▚'];

/// A line of blocks, and what they stand for.
pub(super) fn lines(bar: &Bar, width: usize) -> Vec<String> {
    if bar.whole() <= 0.0 {
        return Vec::new();
    }
    let title = printable(&bar.title);
    let room = width.saturating_sub(title.width() + 1);
    let mut line = format!("{title} ");
    let (mut before, mut drawn) = (0.0, 0);
    for (part, block) in bar.parts.iter().zip(BLOCKS.iter().cycle()) {
        before += part.amount;
        // Rounding where a part ends, and not how long it is, makes the whole as long as it should be.
        let end = (before / bar.whole() * room as f64).round() as usize;
        line.extend(std::iter::repeat_n(
            *block,
            end.min(room).saturating_sub(drawn),
        ));
        drawn = end.min(room).max(drawn);
    }
    let legend: Vec<String> = bar
        .parts
        .iter()
        .zip(BLOCKS.iter().cycle())
        .map(|(part, block)| {
            let (name, words) = (printable(&part.name), printable(&part.words));
            format!("{block} {name} {words} ({:.0} %)", bar.percent(part))
        })
        .collect();
    let mut lines = vec![line];
    lines.extend(wrap(&legend.join("  "), "", width));
    lines
}

/// Boxes side by side. Their widths and colours are plain values, which front ends keep.
pub(super) fn html(bar: &Bar) -> String {
    if bar.whole() <= 0.0 {
        return String::new();
    }
    let mut boxes = String::new();
    let mut legend = String::new();
    for (tone, part) in bar.parts.iter().enumerate() {
        let (name, words) = (escape(&part.name), escape(&part.words));
        let (colour, percent) = (css(Ink::Tone(tone)), bar.percent(part));
        boxes += &format!(
            "<div title=\"{name} {words}\" style=\"width:{percent:.2}%;height:14px;background:{colour}\"></div>"
        );
        legend += &format!(
            "<span style=\"border-left:10px solid {colour};padding-left:5px;margin-right:16px\">{name} {words} ({percent:.0} %)</span> "
        );
    }
    format!(
        "<div style=\"margin:6px 0;text-align:left\">{}<div role=\"img\" aria-label=\"{}\" style=\"display:flex;width:100%;margin:3px 0\">{boxes}</div>{legend}</div>",
        escape(&bar.title),
        escape(&bar.title),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::Part;

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
    fn boxes_have_their_widths_and_nothing_escapes() {
        let boxes = html(&sample());
        assert!(boxes.contains("width:60.00%") && !boxes.contains("<b>"));
        assert!(html(&Bar::default()).is_empty());
    }
}
