//! The arrays that the user's variables hold at one moment: where they lie, and how the user names them.

use std::collections::HashSet;

use diaphane_sight::proc::spans::{Layout, Span};
use pyo3::prelude::*;

use crate::magic::User;
use crate::memory::buffers;
use crate::memory::object_graph;
use diaphane_cpython::dicts::entries;

/// An array by a name.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// How the user reaches it.
    pub name: String,
    /// Whether the cell names the variable.
    pub is_named: bool,
    /// Where its items lie.
    pub layout: Layout,
    pub span: Span,
    pub dtype: String,
    /// Where the memory lies that it is a part of.
    pub owner: Span,
}

/// All arrays of one moment.
#[derive(Debug, Default)]
pub(crate) struct ArraySnapshot {
    pub views: Vec<View>,
    /// Whether there are too many objects to see all.
    pub is_cut: bool,
}

impl ArraySnapshot {
    /// Looks at everything that the user's variables hold; those that the cell names come first.
    pub fn take(user: User<'_, '_>, names: &[String]) -> PyResult<Self> {
        let named: HashSet<&str> = names.iter().map(String::as_str).collect();
        let variables = entries(user.namespace).into_iter();
        let mut roots: Vec<(String, Bound<'_, PyAny>)> = variables
            .filter_map(|(name, value)| Some((name.extract().ok()?, value)))
            .collect();
        let is_named = |name: &str| {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            named.contains(&name[..end])
        };
        roots.sort_by_key(|(name, _)| !is_named(name));
        let traversal = object_graph::from(user.py, user.namespace.as_any(), &roots)?;
        let mut views = Vec::new();
        for reached in traversal.found {
            for found in buffers::of(&reached.object, false) {
                let Ok(buffer) = found.buffer else { continue };
                let span = buffer.layout.bounds();
                let name = format!("{}{}", reached.name, found.part);
                views.push(View {
                    is_named: is_named(&name),
                    name,
                    owner: buffer.whole()?.unwrap_or(span),
                    span,
                    dtype: buffer.dtype.clone(),
                    layout: buffer.layout.clone(),
                });
            }
        }
        Ok(Self {
            views,
            is_cut: traversal.is_cut,
        })
    }
}
