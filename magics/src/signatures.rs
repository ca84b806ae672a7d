//! Functions whose arguments are known by name, so that a recording can tell what was handed to them: sizes, strides,
//! and the addresses of the memory that they read and write.
//!
//! The signatures are tables of text (`signatures/*.table`): BLAS, LAPACK, and what moves and allocates memory.

mod call;
mod expression;
mod form;
mod table;

use std::collections::HashMap;

use diaphane_sight::libs::Library;
use diaphane_trace::recorder::{functions, words};
use diaphane_trace::slots::Site;

pub(crate) use call::{Argument, Call, Memory, Value};
pub(crate) use form::Known;
pub(crate) use table::Access;

/// The known functions by their addresses.
pub(crate) type Directory = HashMap<usize, Known>;

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
    let recipes = directory.iter().filter_map(|(&address, known)| {
        let number = functions::register(address)?;
        Some((number, known.takes()))
    });
    words::learn(recipes);
    directory
}

/// Whose functions they are. Neighbours in a table often lead to the same library.
struct Owners<'a> {
    libraries: &'a [Library],
    last: Option<&'a Library>,
    seen: HashMap<(usize, String), Option<Known>>,
}

impl<'a> Owners<'a> {
    fn new(libraries: &'a [Library]) -> Self {
        Self {
            libraries,
            last: None,
            seen: HashMap::new(),
        }
    }

    fn known(&mut self, name: &str, target: usize) -> Option<Known> {
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
