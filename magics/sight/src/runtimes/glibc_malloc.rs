//! What malloc has taken from the system and holds free, as it says itself (`malloc_info`).

use std::ptr;

use serde::Serialize;

/// What one arena holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Arena {
    /// Taken from the system.
    pub system: u64,
    /// Of that, given back to malloc and free to be used again.
    pub free: u64,
}

/// What malloc as a whole holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Malloc {
    /// The arenas, the one of `brk` first.
    pub arenas: Vec<Arena>,
    /// The large blocks that have a mapping each.
    pub mapped_blocks: u64,
    /// Their bytes.
    pub mapped: u64,
}

impl Malloc {
    /// Asks malloc; `None` where the C library does not tell.
    pub fn read() -> Option<Self> {
        parse(&text()?)
    }

    /// In all arenas, taken from the system.
    pub fn system(&self) -> u64 {
        self.arenas.iter().map(|arena| arena.system).sum()
    }

    /// In all arenas, free.
    pub fn free(&self) -> u64 {
        self.arenas.iter().map(|arena| arena.free).sum()
    }
}

/// Gives what malloc holds free, in whole pages, back to the system.
#[allow(unsafe_code, reason = "a function of malloc's")]
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it has no precondition; it locks each arena for a moment, and moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// The report of glibc, which is XML.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "malloc_info writes to a C stream")]
fn text() -> Option<String> {
    let (mut buffer, mut length) = (ptr::null_mut::<libc::c_char>(), 0);
    // SAFETY: both places outlive the stream, which is closed below.
    let stream = unsafe { libc::open_memstream(&raw mut buffer, &raw mut length) };
    if stream.is_null() {
        return None;
    }
    // SAFETY: the stream is open. malloc locks each arena while it counts, and changes none.
    let told = unsafe { libc::malloc_info(0, stream) };
    // SAFETY: the stream is open and not used afterwards; closing it makes `buffer` and `length` valid.
    let closed = unsafe { libc::fclose(stream) };
    if buffer.is_null() {
        return None;
    }
    // SAFETY: the C library allocated `length` bytes there, which nothing else refers to.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) }.to_vec();
    // SAFETY: the buffer came from malloc and is not used any more.
    unsafe { libc::free(buffer.cast()) };
    (told == 0 && closed == 0).then_some(())?;
    String::from_utf8(bytes).ok()
}

/// Other C libraries do not tell.
#[cfg(not(target_env = "gnu"))]
fn text() -> Option<String> {
    None
}

/// Reads the lines of each `<heap>`, and of the whole behind the last one the line about mapped blocks.
fn parse(text: &str) -> Option<Malloc> {
    let mut malloc = Malloc::default();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("<heap ") {
            malloc.arenas.push(Arena::default());
            inside = true;
        } else if line == "</heap>" {
            inside = false;
        } else if let (true, Some(arena)) = (inside, malloc.arenas.last_mut()) {
            if line.starts_with("<total ") {
                arena.free += number(line, "size")?;
            } else if line.starts_with("<system type=\"current\"") {
                arena.system = number(line, "size")?;
            }
        } else if line.starts_with("<total type=\"mmap\"") {
            (malloc.mapped_blocks, malloc.mapped) = (number(line, "count")?, number(line, "size")?);
        }
    }
    (!malloc.arenas.is_empty()).then_some(malloc)
}

fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_glibc_writes() {
        let text = "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n  <size from=\"33\" to=\"48\" total=\"96\" count=\"2\"/>\n\
            </sizes>\n<total type=\"fast\" count=\"2\" size=\"96\"/>\n<total type=\"rest\" count=\"1\" size=\"1000\"/>\n\
            <system type=\"current\" size=\"135168\"/>\n<system type=\"max\" size=\"200000\"/>\n</heap>\n\
            <total type=\"fast\" count=\"2\" size=\"96\"/>\n<total type=\"mmap\" count=\"3\" size=\"4096\"/>\n\
            <system type=\"current\" size=\"135168\"/>\n</malloc>\n";
        let malloc = parse(text).unwrap();
        assert_eq!(
            malloc.arenas,
            [Arena {
                system: 135_168,
                free: 1096
            }]
        );
        assert_eq!((malloc.mapped_blocks, malloc.mapped), (3, 4096));
        assert_eq!(parse("<malloc/>"), None);
    }
}
