//! Text in memory that several processes share: any bytes are a value, and nobody waits for anybody.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many bytes a word holds.
const WORD: usize = size_of::<u64>();

/// Text of at most eight times `WORDS` bytes.
#[repr(C)]
pub struct SharedText<const WORDS: usize> {
    length: AtomicU32,
    /// How many bytes the whole text has, of which the first ones are kept.
    whole: AtomicU32,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> SharedText<WORDS> {
    /// As much as there is room for.
    const ROOM: usize = WORDS * WORD;

    /// Keeps the beginning of a text.
    pub fn set(&self, text: &str) {
        let kept = &text.as_bytes()[..text.floor_char_boundary(Self::ROOM)];
        self.keep(kept);
        let whole = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.whole.store(whole, Ordering::Relaxed);
    }

    /// Adds bytes at the end, and drops the first ones where there is no room.
    pub fn push(&self, bytes: &[u8]) {
        let mut all = self.bytes();
        all.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::ROOM)..]);
        self.keep(&all[all.len().saturating_sub(Self::ROOM)..]);
    }

    fn keep(&self, bytes: &[u8]) {
        self.length.store(0, Ordering::Release);
        for (word, chunk) in self.words.iter().zip(bytes.chunks(WORD)) {
            let mut filled = [0; WORD];
            filled[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_ne_bytes(filled), Ordering::Relaxed);
        }
        let length = u32::try_from(bytes.len()).unwrap_or(0);
        self.whole.store(length, Ordering::Relaxed);
        self.length.store(length, Ordering::Release);
    }

    fn bytes(&self) -> Vec<u8> {
        let length = self.length.load(Ordering::Acquire) as usize;
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed));
        let mut bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        bytes.truncate(length);
        bytes
    }

    /// What is kept. Bytes that are no text are replaced.
    pub fn get(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Whether the end of the text had no room.
    pub fn is_cut(&self) -> bool {
        self.whole.load(Ordering::Relaxed) > self.length.load(Ordering::Relaxed)
    }

    /// Forgets the text.
    pub fn clear(&self) {
        self.length.store(0, Ordering::Release);
        self.whole.store(0, Ordering::Relaxed);
    }
}

impl<const WORDS: usize> Default for SharedText<WORDS> {
    fn default() -> Self {
        Self {
            length: AtomicU32::new(0),
            whole: AtomicU32::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_has_room() {
        let text = SharedText::<1>::default();
        text.set("abc");
        assert_eq!((text.get().as_str(), text.is_cut()), ("abc", false));
        text.set("1234567é");
        assert_eq!((text.get().as_str(), text.is_cut()), ("1234567", true));
        text.push(b"abc");
        assert_eq!(text.get(), "34567abc");
        text.push(b"the end of it all");
        assert_eq!(text.get(), "f it all");
        text.clear();
        assert_eq!((text.get().as_str(), text.is_cut()), ("", false));
    }
}
