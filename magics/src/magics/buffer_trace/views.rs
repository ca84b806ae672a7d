//! Which variables of the cell are no copies: their memory was another one's before the cell.

use std::collections::HashMap;

use diaphane_sight::proc::spans::Span;
use pyo3::prelude::*;
use serde::Serialize;

use crate::magic::User;
use crate::memory::buffers;

/// What the variables that a cell names were before it ran.
pub(super) struct Before {
    /// The object of each of them, and the memory of all.
    objects: HashMap<String, usize>,
    spans: Vec<(String, Span)>,
}

/// A variable that shares the memory of others.
#[derive(Serialize)]
pub(super) struct SharedName {
    name: String,
    shares_with: Vec<String>,
}

impl Before {
    pub fn the_cell(names: &[String], user: User<'_, '_>) -> PyResult<Self> {
        let mut before = Self {
            objects: HashMap::new(),
            spans: Vec::new(),
        };
        for name in names {
            let Some(object) = user.namespace.get_item(name)? else {
                continue;
            };
            before.objects.insert(name.clone(), object.as_ptr().addr());
            before.spans.extend(spans(name, &object));
        }
        Ok(before)
    }

    /// The variables that are other objects now, and of which all memory was there before.
    pub fn shared(&self, names: &[String], user: User<'_, '_>) -> PyResult<Vec<SharedName>> {
        let mut shared = Vec::new();
        for name in names {
            let Some(object) = user.namespace.get_item(name)? else {
                continue;
            };
            if self.objects.get(name) == Some(&object.as_ptr().addr()) {
                continue;
            }
            let own = spans(name, &object);
            let of = |span: &Span| {
                let owner = self.spans.iter().find(|(_, other)| {
                    !other.is_empty() && span.start < other.end && other.start < span.end
                });
                owner.map(|(owner, _)| owner.clone())
            };
            let owners: Option<Vec<String>> = own.iter().map(|(_, span)| of(span)).collect();
            if let Some(mut owners) = owners.filter(|owners| !owners.is_empty()) {
                owners.dedup();
                shared.push(SharedName {
                    name: name.clone(),
                    shares_with: owners,
                });
            }
        }
        Ok(shared)
    }
}

impl SharedName {
    pub fn sentence(&self) -> String {
        let more = match self.shares_with.len() {
            0..=3 => String::new(),
            many => format!(" and {} more", many - 3),
        };
        let with: Vec<&str> = self
            .shares_with
            .iter()
            .take(3)
            .map(String::as_str)
            .collect();
        format!(
            "{} is no copy: its memory is that of {}{more}",
            self.name,
            with.join(", ")
        )
    }
}

/// The memory of an object, by the names of its parts.
fn spans(name: &str, object: &Bound<'_, PyAny>) -> Vec<(String, Span)> {
    let parts = buffers::of(object, false).into_iter();
    let span = |part: buffers::ExportedBuffer<'_>| {
        let bounds = part.buffer.ok()?.layout.bounds();
        (!bounds.is_empty()).then(|| (format!("{name}{}", part.part), bounds))
    };
    parts.filter_map(span).collect()
}
