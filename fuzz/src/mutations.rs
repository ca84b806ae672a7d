//! Inputs made from others, always the same ones in the same order. No coverage guides them; `cargo fuzz` has that.

/// Bytes at which readers tend to break.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'\n'];

/// An endless row of inputs.
#[cfg_attr(not(test), allow(dead_code, reason = "the tests use it"))]
pub(crate) struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    state: u64,
}

#[cfg_attr(not(test), allow(dead_code, reason = "the tests use it"))]
impl<'a> Mutations<'a> {
    pub(crate) fn of(corpus: &'a [Vec<u8>]) -> Self {
        let state = 0x9e37_79b9_7f4a_7c15;
        Self { corpus, state }
    }

    /// A number below another one, by xorshift.
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 16) as usize % end.max(1)
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len());
        let length = 1 + self.below(16);
        match self.below(7) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = EDGES[self.below(EDGES.len())],
            2 => input.truncate(at),
            3 => drop(input.drain(at..(at + length).min(input.len()))),
            4 => {
                let edge = EDGES[self.below(EDGES.len())];
                input.splice(at..at, std::iter::repeat_n(edge, length));
            }
            5 => {
                let again = input[at..(at + length).min(input.len())].to_vec();
                input.splice(at..at, again);
            }
            _ => {
                let other = &self.corpus[self.below(self.corpus.len())];
                let from = other.len() / (1 + length);
                let piece = other[from..(from + 4 * length).min(other.len())].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut input = self.corpus[self.below(self.corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
        }
        Some(input)
    }
}
