//! `/etc/ld.so.cache`, in which `ldconfig` writes down where the libraries of the system are.

use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use diaphane_forks::ProcessLock;

const FILE: &str = "/etc/ld.so.cache";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// What the flags of an entry for this kind of program are: ELF, for glibc, and the processor.
const OURS: u32 = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => 0x0303,
    b"aarch64" => 0x0a03,
    _ => 0x0003,
};

/// The names in the cache and the files that they stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    entries: Vec<(String, String)>,
}

/// The cache as it was when it had last changed.
type Dated = Option<(SystemTime, Arc<Cache>)>;

static KNOWN: ProcessLock<Dated> = ProcessLock::new(Default::default);

impl Cache {
    /// The one that the linker uses; empty where there is none.
    pub fn of_this_machine() -> Arc<Self> {
        let changed = fs::metadata(FILE).and_then(|about| about.modified());
        let Ok(changed) = changed else {
            return Arc::default();
        };
        let mut known = KNOWN.lock();
        if let Some((_, cache)) = known.as_ref().filter(|(when, _)| *when == changed) {
            return Arc::clone(cache);
        }
        let cache = fs::read(FILE).ok().and_then(|raw| Self::parse(&raw));
        let cache = Arc::new(cache.unwrap_or_default());
        *known = Some((changed, Arc::clone(&cache)));
        cache
    }

    /// Reads the newer format, which may stand behind the older one. All offsets count from its own start.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        let start = raw
            .windows(MAGIC.len())
            .position(|window| window == MAGIC)?;
        let raw = &raw[start..];
        let number = |at: usize| -> Option<u32> {
            let bytes = raw.get(at..at.checked_add(4)?)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        let text = |at: u32| -> Option<String> {
            let text = raw.get(at as usize..)?;
            let end = text.iter().position(|&byte| byte == 0)?;
            Some(String::from_utf8_lossy(&text[..end]).into_owned())
        };
        let count = number(MAGIC.len())? as usize;
        let places = (0..count).map(|index| HEADER + index * ENTRY);
        let entry = |at: usize| {
            let (flags, name, path) = (number(at)?, number(at + 4)?, number(at + 8)?);
            (flags == OURS).then(|| Some((text(name)?, text(path)?)))?
        };
        Some(Self {
            entries: places
                .take_while(|&at| at + ENTRY <= raw.len())
                .filter_map(entry)
                .collect(),
        })
    }

    /// The files of a name, the one that the linker takes first.
    pub fn paths<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.entries.iter().filter(move |(own, _)| own == name);
        named.map(|(_, path)| path.as_str())
    }

    /// The names that begin with a stem and go on as the name of a library does, with their files.
    pub fn like<'a>(&'a self, stem: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let like = self.entries.iter().filter(move |(own, _)| {
            own.strip_prefix(stem)
                .is_some_and(|rest| rest.starts_with(".so"))
        });
        like.map(|(name, path)| (name.as_str(), path.as_str()))
    }
}
