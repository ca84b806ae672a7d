//! Displays in the text that Rust cells write to standard output, as types do that were made for evcxr:
//!
//! ```text
//! EVCXR_BEGIN_CONTENT text/html
//! <b>2</b>
//! EVCXR_END_CONTENT
//! ```
//!
//! Everything else is text, and goes on at once.

const BEGIN: &str = "EVCXR_BEGIN_CONTENT ";
const END: &str = "EVCXR_END_CONTENT";
/// What is longer was not meant as one, or is missing its end.
const LONGEST: usize = 64 << 20;

/// A part of what was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text.
    Text(String),
    /// A display: its MIME type and its content.
    Display(String, String),
}

/// What was written so far and is not told yet.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// From the beginning of a line on: a mark that may still grow, or a display without its end.
    kept: String,
    /// How much of it has been looked at.
    seen: usize,
    /// Whether a display is open.
    is_open: bool,
    /// Whether the text before has not ended its line.
    is_inside: bool,
}

impl Content {
    /// Takes the next text, and gives all parts that are complete.
    pub fn feed(&mut self, text: &str) -> Vec<Part> {
        self.kept += text;
        let mut parts = Vec::new();
        while let Some(length) = self.kept[self.seen..].find('\n') {
            self.line(self.seen + length + 1, &mut parts);
        }
        let rest = &self.kept[self.seen..];
        let may_be_mark = !self.is_inside && (rest.starts_with(BEGIN) || BEGIN.starts_with(rest));
        if self.kept.len() > LONGEST || !(self.is_open || may_be_mark) {
            parts.extend(self.end());
        }
        parts
    }

    /// Gives what is there as the text that it is.
    pub fn end(&mut self) -> Option<Part> {
        self.seen = 0;
        self.is_open = false;
        let kept = std::mem::take(&mut self.kept);
        if let Some(last) = kept.bytes().last() {
            self.is_inside = last != b'\n';
        }
        (!kept.is_empty()).then_some(Part::Text(kept))
    }

    /// Looks at a line that ends here.
    fn line(&mut self, end: usize, parts: &mut Vec<Part>) {
        let line = self.kept[self.seen..end].trim_end();
        if self.is_open && line == END {
            let (head, content) = self.kept[..self.seen].split_once('\n').unwrap_or_default();
            let mime = head.trim_start_matches(BEGIN).trim().to_owned();
            parts.push(Part::Display(
                mime,
                content.trim_end_matches('\n').to_owned(),
            ));
            self.forget(end);
            self.is_open = false;
        } else if !self.is_open && !self.is_inside && line.starts_with(BEGIN) {
            self.is_open = true;
            self.seen = end;
        } else if self.is_open {
            self.seen = end;
        } else {
            parts.push(Part::Text(self.kept[..end].to_owned()));
            self.forget(end);
            self.is_inside = false;
        }
    }

    fn forget(&mut self, end: usize) {
        self.kept.drain(..end);
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn display(mime: &str, content: &str) -> Part {
        Part::Display(mime.to_owned(), content.to_owned())
    }

    /// Neighbouring texts as one.
    fn merged(parts: Vec<Part>) -> Vec<Part> {
        let mut all: Vec<Part> = Vec::new();
        for part in parts {
            match (all.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(more)) => *before += &more,
                (_, part) => all.push(part),
            }
        }
        all
    }

    #[test]
    fn displays_stand_in_their_order_wherever_the_text_is_cut() {
        let whole = "a\nEVCXR_BEGIN_CONTENT text/html\n<b>\né</b>\nEVCXR_END_CONTENT\nEVCXR_BEGIN\n\
                     EVCXR_BEGIN_CONTENT image/png\niVBOR\nEVCXR_END_CONTENT\nEVCXR_END_CONTENT\nb";
        let expected = [
            text("a\n"),
            display("text/html", "<b>\né</b>"),
            text("EVCXR_BEGIN\n"),
            display("image/png", "iVBOR"),
            text("EVCXR_END_CONTENT\nb"),
        ];
        for at in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let mut content = Content::default();
            let mut parts = content.feed(&whole[..at]);
            parts.extend(content.feed(&whole[at..]));
            parts.extend(content.end());
            assert_eq!(merged(parts), expected, "cut at {at}");
        }
    }

    #[test]
    fn a_mark_in_the_middle_of_a_line_is_text_and_text_does_not_wait() {
        let mut content = Content::default();
        assert_eq!(content.feed("50 %"), [text("50 %")]);
        assert_eq!(
            content.feed("EVCXR_BEGIN_CONTENT a/b\n"),
            [text("EVCXR_BEGIN_CONTENT a/b\n")]
        );
        assert_eq!(content.feed("EVCXR_BEGIN_CONTENT a/b\nx\n"), []);
        assert_eq!(content.end(), Some(text("EVCXR_BEGIN_CONTENT a/b\nx\n")));
        assert_eq!(content.end(), None);
    }
}
