//! Which entries of the global offset tables can be hooked: those that only calls go through, where the call leaves the
//! library.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use diaphane_forks::ProcessLock;
use diaphane_sight::code::got_entries::{GotEntry, entries};
use diaphane_sight::elf::image::Image;
use diaphane_sight::linker::libraries::{Library, LibraryKind};

use super::Site;

/// What every library has an entry for, and does not call.
const BY_THE_COMPILER: &[&str] = &["__cxa_finalize", "__gmon_start__"];

/// Functions whose caller depends on what a call does to the stack or to registers beyond the calling convention.
const NEVER: &[&str] = &[
    "setjmp",
    "_setjmp",
    "__sigsetjmp",
    "sigsetjmp",
    "__setjmp",
    "vfork",
    "__vfork",
    "getcontext",
    "makecontext",
    "swapcontext",
    "setcontext",
    "__tls_get_addr",
    "___tls_get_addr",
    "mcount",
    "_mcount",
    "__fentry__",
];

/// What was found of a library, and what could not be hooked.
#[derive(Debug, Clone, Default)]
pub struct GotCalls {
    /// What can be hooked.
    pub sites: Vec<Site>,
    /// The names by which the library asked for the sites' targets, in their order.
    pub names: Vec<String>,
    /// Calls that are bound when they are made first, and were not made yet.
    pub unbound: usize,
    /// Slots that code may compare or call (`GLOB_DAT`), so that they are left alone.
    pub shared: usize,
}

/// The calls that leave a library, but for those into libraries that are not wanted.
pub fn calls(
    library: &Library,
    libraries: &[Library],
    into: impl Fn(&Library) -> bool,
) -> GotCalls {
    let mut found = GotCalls::default();
    let bias = library.image.bias();
    for entry in table(&library.image, library).iter() {
        let value = entry.value;
        if NEVER.contains(&entry.name.as_str()) {
            continue;
        }
        let inside = library.span.contains(value);
        match (entry.jump, inside) {
            (true, true) => found.unbound += usize::from(!library.image.exports(&entry.name)),
            (true, false) => {
                let owner = owner(value, libraries);
                if owner.is_some_and(|owner| owner.kind != LibraryKind::Vdso && into(owner)) {
                    found.names.push(entry.name.clone());
                    found.sites.push(Site {
                        address: entry.address,
                        target: value,
                        library: Some(bias),
                        words: false,
                    });
                }
            }
            (false, false) => {
                let is_code = |owner: &Library| {
                    let part = owner.segments.iter().find(|part| part.span.contains(value));
                    part.is_some_and(|part| part.perms.contains('x'))
                };
                let is_called = !BY_THE_COMPILER.contains(&entry.name.as_str());
                found.shared +=
                    usize::from(is_called && owner(value, libraries).is_some_and(is_code));
            }
            (false, true) => {}
        }
    }
    found
}

/// The calls of functions with these names that leave a library, and the name of each.
pub(crate) fn calls_of(library: &Library, names: &[&str]) -> Vec<(Site, String)> {
    let table = table(&library.image, library);
    let wanted = table.iter().filter(|entry| {
        let is_bound = entry.value != 0 && !library.span.contains(entry.value);
        entry.jump && is_bound && names.contains(&entry.name.as_str())
    });
    let site = |entry: &GotEntry| Site {
        address: entry.address,
        target: entry.value,
        library: Some(library.image.bias()),
        words: false,
    };
    wanted
        .map(|entry| (site(entry), entry.name.clone()))
        .collect()
}

fn owner(address: usize, libraries: &[Library]) -> Option<&Library> {
    libraries
        .iter()
        .find(|library| library.span.contains(address))
}

type Tables = HashMap<usize, (Weak<Image>, Arc<Vec<GotEntry>>)>;
static TABLES: ProcessLock<Option<Tables>> = ProcessLock::new(|| None);

/// The entries of a library. What those hold that were bound does not change any more.
fn table(image: &Arc<Image>, library: &Library) -> Arc<Vec<GotEntry>> {
    let mut tables = TABLES.lock();
    let tables = tables.get_or_insert_default();
    if let Some((owner, table)) = tables.get(&image.bias())
        && owner
            .upgrade()
            .is_some_and(|owner| Arc::ptr_eq(&owner, image))
    {
        return Arc::clone(table);
    }
    let table = Arc::new(entries(library));
    tables.retain(|_, (owner, _)| owner.strong_count() > 0);
    tables.insert(image.bias(), (Arc::downgrade(image), Arc::clone(&table)));
    table
}
