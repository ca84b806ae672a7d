//! Where the memory of the user's variables lies, by their names.

use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans::{Span, union};
use pyo3::prelude::*;

use crate::magic::User;
use crate::memory::buffers;

/// The buffers of variables, in the order of their addresses.
#[derive(Debug, Default)]
pub(super) struct Arrays(Vec<(Span, String)>);

impl Arrays {
    /// Asks every variable that does not begin with an underscore.
    pub fn of(user: User<'_, '_>) -> Self {
        let mut found = Vec::new();
        // Copied first: asking an object may change the variables.
        let variables: Vec<_> = user.namespace.iter().collect();
        for (name, object) in variables {
            let Ok(name) = name.extract::<String>() else {
                continue;
            };
            if name.starts_with('_') {
                continue;
            }
            for one in buffers::of(&object, false) {
                let span = one.buffer.ok().map(|buffer| buffer.layout.bounds());
                let span = span.filter(|span| !span.is_empty());
                found.extend(span.map(|span| (span, format!("{name}{}", one.part))));
            }
        }
        found.sort();
        Self(found)
    }

    /// The arrays of each region that they touch. One with huge pages lies in several regions.
    pub fn by_region(&self, maps: &Maps) -> Vec<Vec<&(Span, String)>> {
        let mut found = vec![Vec::new(); maps.regions.len()];
        for array in &self.0 {
            let first = maps
                .regions
                .partition_point(|region| region.span.end <= array.0.start);
            let touched = maps.regions[first..]
                .iter()
                .take_while(|region| region.span.start < array.0.end);
            let count = touched.count();
            found[first..first + count]
                .iter_mut()
                .for_each(|region| region.push(array));
        }
        found
    }

    /// The smallest array that an address lies in.
    pub fn at(&self, address: usize) -> Option<&(Span, String)> {
        let around = self.0.iter().filter(|(span, _)| span.contains(address));
        around.min_by_key(|(span, _)| span.len())
    }
}

/// How many bytes of a span arrays take, each byte counted once.
pub(super) fn filled(span: Span, arrays: &[&(Span, String)]) -> usize {
    let parts = arrays
        .iter()
        .map(|(array, _)| array.intersection(span))
        .collect();
    union(parts).into_iter().map(Span::len).sum()
}
