//! Whose each byte is: the first who asks has it, and whoever asks for it again shares it.

use std::collections::BTreeMap;

use diaphane_sight::proc::spans::Span;

/// Spans that have an owner already, by their beginnings.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<usize, TakenSpan>);

struct TakenSpan {
    end: usize,
    owner: usize,
    /// Who else has how much of it.
    shared: Vec<(usize, usize)>,
}

impl Taken {
    /// The parts of a span that nobody had, which are taken from now on; and of whom it shares how many more bytes.
    pub fn take(&mut self, span: Span, root: usize) -> (Vec<Span>, Vec<(usize, u64)>) {
        let before = self.0.range(..span.start).next_back();
        let first = before.map_or(span.start, |(&from, _)| from);
        let (mut start, mut free, mut others) = (span.start, Vec::new(), Vec::new());
        for (&from, had) in self.0.range_mut(first..span.end) {
            if from > start {
                free.push(Span::new(start, from));
            }
            start = start.max(had.end);
            let both = had.end.min(span.end).saturating_sub(from.max(span.start));
            if both > 0 && had.owner != root {
                let known = had.shared.iter().position(|(other, _)| *other == root);
                let known = known.unwrap_or_else(|| {
                    had.shared.push((root, 0));
                    had.shared.len() - 1
                });
                let most = &mut had.shared[known].1;
                others.push((had.owner, both.saturating_sub(*most) as u64));
                *most = both.max(*most);
            }
        }
        if start < span.end {
            free.push(Span::new(start, span.end));
        }
        let owned = |part: &Span| TakenSpan {
            end: part.end,
            owner: root,
            shared: Vec::new(),
        };
        self.0
            .extend(free.iter().map(|part| (part.start, owned(part))));
        (free, others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_taken_once() {
        let mut taken = Taken::default();
        let mut take = |start, end| {
            let (parts, _) = taken.take(Span::new(start, end), 0);
            parts
                .iter()
                .map(|part| (part.start, part.end))
                .collect::<Vec<_>>()
        };
        assert_eq!(take(10, 20), [(10, 20)]);
        assert_eq!(take(10, 20), []);
        assert_eq!(take(5, 12), [(5, 10)]);
        assert_eq!(take(30, 40), [(30, 40)]);
        assert_eq!(take(0, 50), [(0, 5), (20, 30), (40, 50)]);
    }

    #[test]
    fn what_two_have_is_shared_once() {
        let mut taken = Taken::default();
        taken.take(Span::new(0, 100), 1);
        let shared =
            |taken: &mut Taken, start, end, root| taken.take(Span::new(start, end), root).1;
        assert_eq!(shared(&mut taken, 10, 30, 1), []);
        assert_eq!(shared(&mut taken, 10, 30, 2), [(1, 20)]);
        assert_eq!(shared(&mut taken, 10, 30, 2), [(1, 0)]);
        assert_eq!(shared(&mut taken, 10, 30, 3), [(1, 20)]);
        assert_eq!(shared(&mut taken, 50, 200, 2), [(1, 30)]);
    }
}
