//! Functions whose arguments are known by name, so that a recording can tell what was handed to them: sizes, strides,
//! and the addresses of the memory that they read and write.
//!
//! The signatures are tables of text (`signatures/*.table`): BLAS, LAPACK, and what moves and allocates memory.

mod call;
mod expression;
mod form;
mod table;

use std::collections::HashMap;

use diaphane_sight::code::symbols::{SymbolKind, Table};
use diaphane_sight::linker::libraries::Library;
use diaphane_trace::got_hooks::Site;
use diaphane_trace::recorder::{argument_capture, functions};

pub(crate) use call::{ArgumentValue, MemoryArgument, NamedArgument, SignatureCall};
pub(crate) use form::KnownFunction;
pub(crate) use table::Access;

/// The known functions by their addresses.
pub(crate) type Directory = HashMap<usize, KnownFunction>;

/// Has the arguments kept where a site leads to a function that is known; each site comes with its name.
pub(crate) fn mark<'a>(
    sites: &mut [Site],
    names: impl IntoIterator<Item = &'a str>,
    libraries: &[Library],
) -> Directory {
    let mut directory = Directory::new();
    let mut owners = Owners::new(libraries);
    for (site, name) in sites.iter_mut().zip(names) {
        if let Some(known) = owners.known(name, site.target) {
            site.words = true;
            directory.insert(site.target, known);
        }
    }
    learn(&directory);
    directory
}

/// Tells the recorder what to keep of functions.
pub(crate) fn learn(directory: &Directory) {
    let capture_specs = directory.iter().filter_map(|(&address, known)| {
        let number = functions::register(address)?;
        Some((number, known.captures()))
    });
    argument_capture::learn(capture_specs);
}

/// The functions of BLAS and LAPACK that a library has, also those that only it calls itself.
pub(crate) fn algebra_in(library: &Library) -> Directory {
    let table = Table::of(library);
    let table = table.named(library.image.bias());
    let functions = table
        .places()
        .filter(|(_, kind, _, size)| *kind == SymbolKind::Function && *size > 0);
    let known = functions.filter_map(|(name, _, start, _)| {
        let known = form::known(name, library)?;
        (!known.signature.is_of_memory()).then_some((start, known))
    });
    known.collect()
}

/// Whose functions they are. Neighbours in a table often lead to the same library.
struct Owners<'a> {
    libraries: &'a [Library],
    last: Option<&'a Library>,
    seen: HashMap<(usize, String), Option<KnownFunction>>,
}

impl<'a> Owners<'a> {
    fn new(libraries: &'a [Library]) -> Self {
        Self {
            libraries,
            last: None,
            seen: HashMap::new(),
        }
    }

    fn known(&mut self, name: &str, target: usize) -> Option<KnownFunction> {
        let is_owner = |library: &&Library| library.span.contains(target);
        let owner = self.last.filter(is_owner);
        let owner = owner.or_else(|| self.libraries.iter().find(is_owner))?;
        self.last = Some(owner);
        let key = (target, name.to_owned());
        *self
            .seen
            .entry(key)
            .or_insert_with(|| form::known(name, owner))
    }
}
