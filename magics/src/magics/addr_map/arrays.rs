//! Where the memory of the user's variables lies, by their names.

use std::collections::HashSet;

use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans::{Span, union};
use pyo3::prelude::*;

use crate::magic::User;
use crate::memory::buffers;
use crate::memory::object_graph::{self, Root, roots};

/// The buffers of variables, in the order of their addresses.
#[derive(Debug, Default)]
pub(super) struct Arrays(Vec<(Span, String)>);

impl Arrays {
    /// Of the user's variables but for those that begin with an underscore, as far as they may touch memory that is asked
    /// about.
    pub fn of_variables(user: User<'_, '_>, is_asked: impl Fn(Span) -> bool) -> PyResult<Self> {
        let mut objects = roots::visible(user);
        objects.retain(|(_, object)| buffers::may_touch(object, &is_asked));
        Self::of(objects)
    }

    /// Also of whatever these hold, as far as it may touch memory that is asked about.
    pub fn held(user: User<'_, '_>, is_asked: impl Fn(Span) -> bool) -> PyResult<Self> {
        let mut objects = roots::visible(user);
        let variables: HashSet<usize> = objects
            .iter()
            .map(|(_, object)| object.as_ptr().addr())
            .collect();
        objects.extend(roots::kept_by_python(user)?);
        let is_wanted = |object: &Bound<'_, PyAny>| {
            variables.contains(&object.as_ptr().addr()) || buffers::may_touch(object, &is_asked)
        };
        let namespace = user.namespace.as_any();
        let traversal = object_graph::only(user.py, namespace, &objects, None, is_wanted)?;
        let found = traversal.found.into_iter();
        Self::of(
            found
                .map(|reached| (reached.name, reached.object))
                .collect(),
        )
    }

    fn of(objects: Vec<Root<'_>>) -> PyResult<Self> {
        let (mut found, mut wholes) = (Vec::new(), Vec::new());
        for (path, object) in objects {
            for one in buffers::of(&object, false) {
                let Ok(buffer) = one.buffer else { continue };
                let name = format!("{path}{}", one.part);
                let bounds = buffer.layout.bounds();
                let whole = buffer.whole()?.filter(|whole| *whole != bounds);
                wholes.extend(whole.map(|whole| (whole, format!("the base of {name}"))));
                found.push((bounds, name));
            }
        }
        // A view keeps the whole, also where nobody else shows that.
        let named: HashSet<Span> = found.iter().map(|(span, _)| *span).collect();
        wholes.retain(|(whole, _)| !named.contains(whole));
        wholes.sort();
        wholes.dedup_by_key(|(whole, _)| *whole);
        found.extend(wholes);
        found.retain(|(span, _)| !span.is_empty());
        found.sort();
        Ok(Self(found))
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
