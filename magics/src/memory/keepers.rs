//! Who keeps the buffers that outlived the cell: the names by which the user reaches them.

use std::collections::HashMap;

use pyo3::prelude::*;

use crate::magic::User;
use crate::memory::object_graph::{Root, roots};
use crate::memory::{buffers, object_graph};

/// Who keeps a buffer.
pub(crate) struct Keeper {
    /// How the user reaches it.
    pub name: String,
    /// Whether the array shows the buffer of another one, which has no name.
    pub is_view: bool,
}

/// Names by the address where an owner's memory begins.
pub(crate) struct Keepers {
    names: HashMap<usize, Keeper>,
    /// Whether there may be names that were not found.
    pub is_cut: bool,
}

impl Keepers {
    /// Looks at everything that the user's variables hold; and where that does not explain some of the addresses, at
    /// whatever else there is.
    pub fn of(user: User<'_, '_>, addresses: impl Iterator<Item = usize>) -> PyResult<Self> {
        let mut keepers = Self {
            names: HashMap::new(),
            is_cut: false,
        };
        keepers.look(user, &roots::all(user)?)?;
        let mut unexplained = addresses.filter(|address| !keepers.names.contains_key(address));
        if unexplained.next().is_some() {
            keepers.look(user, &roots::elsewhere(user)?)?;
        }
        Ok(keepers)
    }

    fn look(&mut self, user: User<'_, '_>, roots: &[Root<'_>]) -> PyResult<()> {
        let traversal = object_graph::from(user.py, user.namespace.as_any(), roots)?;
        let mut views = Vec::new();
        for reached in traversal.found {
            for found in buffers::of(&reached.object, false) {
                let Ok(buffer) = found.buffer else { continue };
                let name = format!("{}{}", reached.name, found.part);
                let is_view = !buffer.is_owner();
                let keeper = Keeper { name, is_view };
                match buffer.whole()?.map(|whole| whole.start) {
                    Some(address) if is_view => views.push((address, keeper)),
                    Some(address) => {
                        self.names.entry(address).or_insert(keeper);
                    }
                    None => {}
                }
            }
        }
        for (address, keeper) in views {
            self.names.entry(address).or_insert(keeper);
        }
        self.is_cut |= traversal.is_cut;
        Ok(())
    }

    /// Who keeps the buffer at an address.
    pub fn at(&self, address: usize) -> Option<&Keeper> {
        self.names.get(&address)
    }
}
