//! How long the initialisers of a new library run.
//!
//! When the linker says that new libraries are mapped, it has neither bound nor initialised them. Their dynamic sections
//! are data that it reads again later; there the first initialiser (`DT_INIT`) and the list of the others
//! (`DT_INIT_ARRAY`) are replaced by ours, which call the library's own between two entries of the event buffer. No code is
//! changed. The words are put back at the end of the recording.

use diaphane_forks::ForkOnce;
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::linker::link_map;
use diaphane_sight::proc::spans;
use rustix::mm::{MprotectFlags, mprotect};

use super::debug::{self, DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ, Map};
use crate::arch::pieces::{NUMBERED, numbered};
use crate::linker_events::event_buffer;
use crate::linker_events::event_buffer::Kind;
use crate::trampolines::publish;

/// So many libraries are measured in one process before places are used again.
const PLACES: usize = 2048;

/// What was replaced in one library.
struct Place {
    /// The address of what describes the library; 0 if nothing is replaced.
    map: AtomicUsize,
    init: AtomicUsize,
    array: AtomicUsize,
    count: AtomicUsize,
    /// The list that the linker is given: our trampoline.
    list: AtomicUsize,
    /// The library's dynamic section.
    dynamic: AtomicUsize,
    words: [Word; 3],
}

/// A word that is replaced: where it lies, what it was, and what it is. The address is 0 if there is none.
struct Word {
    at: AtomicUsize,
    before: AtomicUsize,
    now: AtomicUsize,
}

impl Place {
    const fn new() -> Self {
        Self {
            map: AtomicUsize::new(0),
            init: AtomicUsize::new(0),
            array: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            list: AtomicUsize::new(0),
            dynamic: AtomicUsize::new(0),
            words: [const { Word::new() }; 3],
        }
    }

    /// Writes all words or none, of a library that is bound already: so does glibc from 2.41 on before it tells of one.
    fn open_and_write(&self, pairs: &[(usize, usize)]) -> bool {
        let mut wanted = pairs.iter().filter(|(at, _)| *at != 0);
        let all = wanted.all(|(at, value)| put(*at, *value));
        if !all {
            self.words.iter().for_each(Word::restore);
        }
        all
    }
}

impl Word {
    const fn new() -> Self {
        Self {
            at: AtomicUsize::new(0),
            before: AtomicUsize::new(0),
            now: AtomicUsize::new(0),
        }
    }
}

static ALL: [Place; PLACES] = [const { Place::new() }; PLACES];
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// The trampolines, made once and for ever.
static TRAMPOLINES: ForkOnce<Option<usize>> = ForkOnce::new();

/// Makes the trampolines; without them nothing is measured.
pub(super) fn prepare() -> bool {
    let made = TRAMPOLINES.get_or_init(|| {
        // The first half stands for the first initialisers, the other for the lists.
        let function = (run as *const ()).addr();
        let code: Vec<_> = (0..2 * PLACES)
            .map(|number| numbered(number as u32, function))
            .collect::<Option<_>>()?;
        publish(code.as_flattened())
    });
    made.is_some()
}

/// Replaces the initialisers of a library that is mapped and not yet bound. Called by the linker, with its lock.
pub(super) fn watch(map: &Map) -> bool {
    let Some(&Some(trampolines)) = TRAMPOLINES.get() else {
        return false;
    };
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES;
    let place = &ALL[number];
    if place.map.load(Ordering::Relaxed) != 0 {
        return false;
    }
    let address = |value: usize| map.bias.wrapping_add(value);
    let count = map.value(DT_INIT_ARRAYSZ).unwrap_or(0) / size_of::<usize>();
    let init = map.value(DT_INIT).map_or(0, address);
    let array = map.value(DT_INIT_ARRAY).filter(|_| count > 0);
    place.init.store(init, Ordering::Relaxed);
    place
        .array
        .store(array.map_or(0, address), Ordering::Relaxed);
    place.count.store(count, Ordering::Relaxed);
    let own_init = trampolines + number * NUMBERED;
    let own_array = trampolines + (PLACES + number) * NUMBERED;
    place.list.store(own_array, Ordering::Relaxed);
    let list = (&raw const place.list).addr();
    let new = [
        (DT_INIT, own_init.wrapping_sub(map.bias), init != 0),
        (DT_INIT_ARRAY, list.wrapping_sub(map.bias), array.is_some()),
        (DT_INIT_ARRAYSZ, size_of::<usize>(), array.is_some()),
    ];
    let mut pairs = [(0, 0); 3];
    for ((pair, word), (tag, value, is_there)) in pairs.iter_mut().zip(&place.words).zip(new) {
        let found = map.entry(tag).filter(|_| is_there);
        let at = found.map_or(0, |entry| entry.addr() + size_of::<usize>());
        word.at.store(at, Ordering::Relaxed);
        word.before
            .store(map.value(tag).unwrap_or(0), Ordering::Relaxed);
        word.now.store(value, Ordering::Relaxed);
        *pair = (at, value);
    }
    place.dynamic.store(map.dynamic.addr(), Ordering::Relaxed);
    place.map.store((&raw const *map).addr(), Ordering::Release);
    let written = write(&pairs) || place.open_and_write(&pairs);
    if !written {
        place.map.store(0, Ordering::Relaxed);
    }
    written
}

/// Writes all words or none, through the kernel, which refuses where a direct write would crash.
#[allow(unsafe_code, reason = "a system call without a safe form")]
fn write(pairs: &[(usize, usize)]) -> bool {
    let length = size_of::<usize>();
    let nothing = libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    };
    let (mut from, mut to, mut used) = ([nothing; 3], [nothing; 3], 0);
    for (at, value) in pairs.iter().filter(|(at, _)| *at != 0) {
        from[used].iov_base = (&raw const *value).cast_mut().cast();
        to[used].iov_base = *at as *mut _;
        (from[used].iov_len, to[used].iov_len) = (length, length);
        used += 1;
    }
    // SAFETY: it asks for the number of this process.
    let own = unsafe { libc::getpid() };
    let (sources, targets, count) = (from.as_ptr(), to.as_ptr(), used as libc::c_ulong);
    // SAFETY: it reads the values and writes into the dynamic section of a library, whose words nobody else reads now: it
    // is being loaded, or is initialised. If nothing lies there, the kernel says so.
    let written = unsafe { libc::process_vm_writev(own, sources, count, targets, count, 0) };
    written == (used * length) as isize
}

/// A library is unmapped: its words are gone.
pub(super) fn forget(map: usize) {
    // Most places were never used, and a look costs less than an exchange.
    let used = NEXT.load(Ordering::Relaxed).min(PLACES);
    let is_its = |place: &&Place| place.map.load(Ordering::Relaxed) == map;
    for place in ALL[..used].iter().filter(is_its) {
        let _ = place
            .map
            .compare_exchange(map, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Puts the words back.
pub(super) fn undo() {
    let is_used = |place: &&Place| place.map.load(Ordering::Acquire) != 0;
    let mut used = ALL.iter().filter(is_used).peekable();
    let (true, Some(root)) = (used.peek().is_some(), debug::known()) else {
        return;
    };
    link_map::while_nothing_unloads(|| {
        for place in used {
            let map = place.map.swap(0, Ordering::AcqRel);
            if root.holds(map, place.dynamic.load(Ordering::Relaxed)) {
                place.words.iter().for_each(Word::restore);
            }
        }
    });
}

impl Word {
    fn restore(&self) {
        let [at, before, now] =
            [&self.at, &self.before, &self.now].map(|word| word.load(Ordering::Relaxed));
        if at != 0 && spans::word(at) == Some(now) {
            put(at, before);
        }
    }
}

/// Writes a word, also where the linker has closed its page, as it does when a library is bound (RELRO).
fn put(at: usize, value: usize) -> bool {
    if write(&[(at, value)]) {
        return true;
    }
    let size = rustix::param::page_size();
    let page = at / size * size;
    let open = MprotectFlags::READ | MprotectFlags::WRITE;
    protect(page, size, open) && {
        let written = write(&[(at, value)]);
        protect(page, size, MprotectFlags::READ) && written
    }
}

#[allow(unsafe_code, reason = "the rights of a page are changed")]
fn protect(page: usize, size: usize, rights: MprotectFlags) -> bool {
    // SAFETY: the page belongs to a library that stays loaded meanwhile, and can be read all the time.
    unsafe { mprotect(page as *mut _, size, rights) }.is_ok()
}

type Initialiser = unsafe extern "C-unwind" fn(c_int, *const *const c_char, *const *const c_char);

/// What every trampoline leads to: runs a library's first initialiser, or its list of the others, between two entries of the
/// event buffer.
#[allow(
    unsafe_code,
    reason = "called by the dynamic linker, and calls a library"
)]
unsafe extern "C-unwind" fn run(
    argc: c_int,
    argv: *const *const c_char,
    environment: *const *const c_char,
    trampoline: u32,
) {
    let place = &ALL[trampoline as usize % PLACES];
    let (first, count) = if (trampoline as usize) < PLACES {
        ((&raw const place.init).addr(), 1)
    } else {
        let array = place.array.load(Ordering::Relaxed);
        (array, place.count.load(Ordering::Relaxed))
    };
    let map = place.map.load(Ordering::Acquire);
    if super::is_active() {
        event_buffer::write(Kind::Initialising, [map, 0], b"");
    }
    for index in 0..count {
        // SAFETY: it is the one word of the place, or the library's own list, which has so many and stays while the
        // library is initialised.
        let function = unsafe { (first as *const usize).add(index).read() };
        if function != 0 {
            // SAFETY: the linker would have called the same address with the same arguments.
            let function: Initialiser = unsafe { std::mem::transmute(function) };
            // SAFETY: as above.
            unsafe { function(argc, argv, environment) };
        }
    }
    if super::is_active() {
        event_buffer::write(Kind::Initialised, [map, 0], b"");
    }
}
