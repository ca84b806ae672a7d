//! The warning before memory is used up: which limit is near, and which arrays are the largest.

use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_cpython::reader::Reader;
use diaphane_report::view::bytes;
use diaphane_sight::crash::black_box;
use diaphane_sight::crash::black_box::BlackBox;
use diaphane_sight::proc::memory_limits::{MemoryLimit, nearest};

use super::arrays::held;

/// A limit is near where less than one of so many parts is left.
const PART: u64 = 10;
/// It is far again where more than one of so many parts is left.
const FAR: u64 = 5;
/// So many arrays are named.
const NAMED: usize = 3;

/// Whether the user wants to be warned.
static WANTED: AtomicBool = AtomicBool::new(true);
/// Whether the user was warned of what is near now.
static WARNED: AtomicBool = AtomicBool::new(false);

/// Says whether to warn.
pub fn warn_of_memory(wanted: bool) {
    WANTED.store(wanted, Ordering::Relaxed);
}

/// Looks how much memory is left, writes it down, and returns what the user is to be warned of. It takes no GIL.
pub fn look_at_memory() -> Option<String> {
    let own = black_box::writable()?;
    let limit = nearest()?;
    let left = limit.limit.saturating_sub(limit.used);
    own.memory.used.store(limit.used, Ordering::Relaxed);
    own.memory.limit.store(limit.limit, Ordering::Relaxed);
    own.memory.name.set(&limit.name);
    own.memory.at.store(black_box::now(), Ordering::Relaxed);
    if left > limit.limit / FAR {
        own.memory.arrays.clear();
        WARNED.store(false, Ordering::Relaxed);
    }
    if left > limit.limit / PART {
        return None;
    }
    let arrays = largest(own);
    own.memory.arrays.set(&arrays);
    let is_new = !WARNED.swap(true, Ordering::Relaxed) && WANTED.load(Ordering::Relaxed);
    is_new.then(|| warning(&limit, &arrays))
}

/// The largest arrays by their names.
fn largest(own: &BlackBox) -> String {
    let mut arrays = held(own, Reader::of_this_process());
    arrays.sort_unstable_by_key(|array| std::cmp::Reverse(array.span.len()));
    let named = arrays.iter().take(NAMED);
    let said: Vec<String> = named
        .map(|array| format!("{} {}", array.name, bytes(array.span.len() as f64)))
        .collect();
    said.join(", ")
}

fn warning(limit: &MemoryLimit, arrays: &str) -> String {
    let (used, of) = (bytes(limit.used as f64), bytes(limit.limit as f64));
    let largest = match arrays {
        "" => String::new(),
        arrays => format!(" Largest arrays: {arrays}."),
    };
    format!(
        "diaphane: memory is nearly used up: {used} of {of} ({}).{largest} When it is, the system may end the kernel. \
         (`%crash_report --warn off` says this no more.)\n",
        limit.name
    )
}
