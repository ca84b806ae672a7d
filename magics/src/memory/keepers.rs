//! Who keeps the buffers that outlived the cell: the names by which the user reaches them.

use std::collections::HashMap;

use pyo3::prelude::*;

use crate::magic::User;
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
    /// Looks at everything that the user's variables hold.
    pub fn of(user: User<'_, '_>) -> PyResult<Self> {
        let roots: Vec<(String, Bound<'_, PyAny>)> = user
            .namespace
            .iter()
            .filter_map(|(name, value)| Some((name.extract().ok()?, value)))
            .collect();
        let traversal = object_graph::from(user.py, user.namespace.as_any(), &roots)?;
        let mut names: HashMap<usize, Keeper> = HashMap::new();
        let mut views = Vec::new();
        for reached in traversal.found {
            for found in buffers::of(&reached.object, false) {
                let Ok(buffer) = found.buffer else { continue };
                let name = format!("{}{}", reached.name, found.part);
                let is_view = !buffer.is_owner();
                let keeper = Keeper { name, is_view };
                match numpy_owner(&buffer)? {
                    Some(address) if is_view => views.push((address, keeper)),
                    Some(address) => {
                        names.entry(address).or_insert(keeper);
                    }
                    None => {}
                }
            }
        }
        for (address, keeper) in views {
            names.entry(address).or_insert(keeper);
        }
        Ok(Self {
            names,
            is_cut: traversal.is_cut,
        })
    }

    /// Who keeps the buffer at an address.
    pub fn at(&self, address: usize) -> Option<&Keeper> {
        self.names.get(&address)
    }
}

/// Where the memory of the array begins that a buffer belongs to.
fn numpy_owner(buffer: &buffers::Buffer<'_>) -> PyResult<Option<usize>> {
    if buffer.is_owner() {
        return Ok(Some(buffer.layout.address));
    }
    let owner = buffers::array(buffer.owner())?;
    Ok(owner.map(|owner| owner.layout.address))
}
