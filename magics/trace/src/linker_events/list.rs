//! Which images the linker's lists had when they were looked at last, and what has changed since.
//!
//! Only the linker's own thread comes here, with the linker's lock: that of loading, and not only that of its lists. So
//! there is one writer at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::debug::{Debug, Map};

/// As many images as are followed.
const MOST: usize = 8192;

static KNOWN: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Something that came or went.
pub(super) enum Change {
    Came(&'static Map),
    /// The address of what described it.
    Went(usize),
}

/// Compares with the lists as they are now. The order of what stays does not change there.
pub(super) fn compare(root: &'static Debug, mut each: impl FnMut(Change)) {
    let mut at = 0;
    for map in root.lists().flat_map(Debug::maps) {
        let own = address(map);
        if let Some(end) = position(own, at) {
            (at..end).for_each(|index| each(Change::Went(known(index))));
            remove(at, end - at);
        }
        if at >= count() || known(at) != own {
            if !insert(at, own) {
                return;
            }
            each(Change::Came(map));
        }
        at += 1;
    }
    (at..count()).for_each(|index| each(Change::Went(known(index))));
    COUNT.store(at, Ordering::Relaxed);
}

/// The image that was the last one of the only list, if more can only have come behind it.
pub(super) fn append(root: &'static Debug, mut each: impl FnMut(&'static Map)) -> bool {
    let (Some(last), 1) = (count().checked_sub(1).map(known), root.lists().count()) else {
        return false;
    };
    let Some(mut map) = find(last) else {
        return false;
    };
    while let Some(next) = map.next() {
        if !insert(count(), address(next)) {
            return true;
        }
        each(next);
        map = next;
    }
    true
}

fn address(map: &Map) -> usize {
    (&raw const *map).addr()
}

#[allow(unsafe_code, reason = "the linker's lists are read")]
fn find(address: usize) -> Option<&'static Map> {
    // SAFETY: it is the address of an image that was in the list; none was removed since, or `compare` had noticed.
    unsafe { (address as *const Map).as_ref() }
}

fn known(index: usize) -> usize {
    KNOWN[index].load(Ordering::Relaxed)
}

fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

fn position(wanted: usize, from: usize) -> Option<usize> {
    (from..count()).find(|&index| known(index) == wanted)
}

fn insert(at: usize, map: usize) -> bool {
    let count = count();
    if count == MOST {
        return false;
    }
    for index in (at..count).rev() {
        KNOWN[index + 1].store(known(index), Ordering::Relaxed);
    }
    KNOWN[at].store(map, Ordering::Relaxed);
    COUNT.store(count + 1, Ordering::Relaxed);
    true
}

fn remove(at: usize, many: usize) {
    for index in at + many..count() {
        KNOWN[index - many].store(known(index), Ordering::Relaxed);
    }
    COUNT.store(count() - many, Ordering::Relaxed);
}
