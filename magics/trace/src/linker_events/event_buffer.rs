//! Where the hooks of the linker write what happens: memory that is there before, so that nothing is allocated.
//!
//! An entry is a head of [`HEAD`] words and a text behind it. Whoever writes takes its words by one addition, and says
//! at the end that they are complete.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The words of all entries, which only cost memory once they are written: 4 MB at most.
const WORDS: usize = 1 << 19;
/// The words in front of a text.
const HEAD: usize = 6;

static BUFFER: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
static NEXT: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicUsize = AtomicUsize::new(0);

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Kind {
    Asked = 1,
    Adding,
    Removing,
    Settled,
    Mapped,
    Unmapped,
    Initialising,
    Initialised,
    Noted,
    Closing,
}

const KINDS: [Kind; 10] = [
    Kind::Asked,
    Kind::Adding,
    Kind::Removing,
    Kind::Settled,
    Kind::Mapped,
    Kind::Unmapped,
    Kind::Initialising,
    Kind::Initialised,
    Kind::Noted,
    Kind::Closing,
];

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub kind: Kind,
    pub ticks: u64,
    pub tid: i32,
    pub values: [usize; 2],
    pub text: Vec<u8>,
}

/// Writes an entry. Where there is no room, it is only counted.
pub(super) fn write(kind: Kind, values: [usize; 2], text: &[u8]) {
    let ticks = crate::clock::ticks();
    let words = HEAD + text.len().div_ceil(8);
    let start = NEXT.fetch_add(words, Ordering::Relaxed);
    let Some(place) = BUFFER.get(start..start.saturating_add(words)) else {
        LOST.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let (head, body) = place.split_at(HEAD);
    head[1].store(ticks, Ordering::Relaxed);
    head[2].store(thread() as u64, Ordering::Relaxed);
    head[3].store(values[0] as u64, Ordering::Relaxed);
    head[4].store(values[1] as u64, Ordering::Relaxed);
    head[5].store(text.len() as u64, Ordering::Relaxed);
    for (word, bytes) in body.iter().zip(text.chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
    }
    head[0].store(kind as u64, Ordering::Release);
}

/// Takes all entries in the order in which they were begun, and how many found no room.
pub(super) fn take() -> (Vec<Entry>, usize) {
    let used = NEXT.load(Ordering::Relaxed).min(WORDS);
    let mut entries = Vec::new();
    let mut rest = &BUFFER[..used];
    // An entry that is not complete has no length yet either; what follows cannot be found then.
    while let Some((head, body)) = rest.split_at_checked(HEAD)
        && let Some(&kind) = KINDS.get((head[0].load(Ordering::Acquire) as usize).wrapping_sub(1))
    {
        let [ticks, tid, first, second, length] =
            [1, 2, 3, 4, 5].map(|index: usize| head[index].load(Ordering::Relaxed));
        let length = length as usize;
        let Some((words, behind)) = body.split_at_checked(length.div_ceil(8)) else {
            break;
        };
        let bytes = words
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        entries.push(Entry {
            kind,
            ticks,
            tid: tid as i32,
            values: [first as usize, second as usize],
            text: bytes.take(length).collect(),
        });
        rest = behind;
    }
    (entries, LOST.load(Ordering::Relaxed))
}

/// Begins with an empty event buffer.
pub(super) fn clear() {
    let used = NEXT.load(Ordering::Relaxed).min(WORDS);
    BUFFER[..used]
        .iter()
        .for_each(|word| word.store(0, Ordering::Relaxed));
    LOST.store(0, Ordering::Relaxed);
    NEXT.store(0, Ordering::Release);
}

/// The kernel's number of this thread, asked for once.
pub(super) fn thread() -> i32 {
    thread_local! {
        static TID: i32 = rustix::thread::gettid().as_raw_nonzero().get();
    }
    TID.try_with(|tid| *tid).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        clear();
        write(Kind::Mapped, [1, 2], b"/lib/libc.so.6");
        write(Kind::Settled, [0, usize::MAX], b"");
        let (entries, lost) = take();
        assert_eq!(lost, 0);
        assert_eq!(entries[0].text, b"/lib/libc.so.6");
        assert_eq!((entries[0].kind, entries[0].values), (Kind::Mapped, [1, 2]));
        assert_eq!(entries[1].values[1], usize::MAX);
        assert!(entries[0].ticks <= entries[1].ticks && entries[0].tid == thread());
        // A full event buffer counts what it has no room for, and keeps what is there.
        let long = vec![b'x'; 64 * 1024];
        (0..100).for_each(|_| write(Kind::Asked, [0, 0], &long));
        let (entries, lost) = take();
        assert_eq!(entries.len() + lost, 102);
        assert!(lost > 0 && entries[2].text == long);
        clear();
        assert_eq!(take().0, []);
    }
}
