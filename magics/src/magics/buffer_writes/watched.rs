//! Which memory is watched: that of the named variables, or of all.

use std::collections::HashSet;

use diaphane_sight::proc::pages::whole_pages;
use diaphane_sight::proc::spans::{self, Span};
use pyo3::prelude::*;

use crate::error::Error;
use crate::magic::User;
use crate::memory::buffers;
use crate::memory::object_graph::roots;
use crate::memory::paths::named;
use crate::python::objects::type_name;

const ASKED: &str = "%%buffer_writes";
/// Of buffers up to this size a copy is kept, which tells whether values changed on a page that others share.
const COPIED: usize = 64 << 10;
/// No more than this is copied.
const MOST_COPIED: usize = 16 << 20;

/// A buffer that is watched.
pub(super) struct WatchedBuffer {
    pub name: String,
    /// The type of the object.
    pub kind: String,
    /// From its first to behind its last byte.
    pub span: Span,
    /// The size of an item, where the items lie one behind the other.
    pub item: Option<usize>,
    /// Its bytes before the cell, of a small one.
    pub before: Option<Vec<u8>>,
    /// The owner's place among those that are watched for their end.
    pub owner: usize,
    /// Which object it belongs to.
    id: usize,
}

/// The buffers, and the objects whose memory they are.
pub(super) fn of<'py>(
    names: &[String],
    user: User<'_, 'py>,
) -> Result<(Vec<WatchedBuffer>, Vec<Bound<'py, PyAny>>), Error> {
    let is_named = !names.is_empty();
    let roots = if is_named {
        let root = |name: &String| Ok((name.clone(), named(ASKED, name, user)?));
        names.iter().map(root).collect::<Result<Vec<_>, Error>>()?
    } else {
        roots::visible(user)
    };
    let (mut watched, mut owners) = (Vec::new(), Vec::new());
    let mut copied = 0;
    for (name, object) in roots {
        let before = watched.len();
        for found in buffers::of(&object, is_named) {
            let Ok(buffer) = found.buffer else { continue };
            let span = buffer.layout.bounds();
            if span.is_empty() || !(buffer.writeable || is_named) {
                continue;
            }
            let is_kept = span.len() <= COPIED && copied + span.len() <= MOST_COPIED;
            copied += if is_kept { span.len() } else { 0 };
            watched.push(WatchedBuffer {
                name: format!("{name}{}", found.part),
                kind: type_name(&object),
                span,
                item: buffer.layout.is_dense().then_some(buffer.layout.item),
                before: is_kept.then(|| spans::bytes(span.start, span.len())),
                owner: owners.len(),
                id: object.as_ptr().addr(),
            });
            owners.push(buffer.owner().clone());
        }
        if is_named && watched.len() == before {
            return Err(Error::Usage(format!(
                "{ASKED}: {name} is a {}, which shows no memory; arrays and other buffers do",
                type_name(&object)
            )));
        }
    }
    Ok((watched, owners))
}

/// The pages of all, each once.
pub(super) fn merged(watched: &[WatchedBuffer]) -> Vec<Span> {
    let mut pages: Vec<Span> = watched.iter().map(|one| whole_pages(one.span)).collect();
    pages.sort_by_key(|span| span.start);
    let mut merged: Vec<Span> = Vec::new();
    for span in pages {
        match merged.last_mut().filter(|last| last.end >= span.start) {
            Some(last) => last.end = last.end.max(span.end),
            None => merged.push(span),
        }
    }
    merged
}

/// A variable that the cell has made, with the bytes of its buffers, or bound to something else.
pub(super) struct AddedBuffer {
    pub name: String,
    pub kind: String,
    pub span: Span,
    /// The variable that had the memory before the cell.
    pub shares_with: Option<String>,
}

/// The variables with memory that they did not have before.
pub(super) fn added(watched: &[WatchedBuffer], user: User<'_, '_>) -> Vec<AddedBuffer> {
    let known: HashSet<(&str, usize)> = watched
        .iter()
        .map(|one| (one.name.as_str(), one.id))
        .collect();
    let mut added = Vec::new();
    for (name, object) in roots::visible(user) {
        let id = object.as_ptr().addr();
        for found in buffers::of(&object, false) {
            let name = format!("{name}{}", found.part);
            let Ok(buffer) = found.buffer else { continue };
            let span = buffer.layout.bounds();
            if span.is_empty() || !buffer.writeable || known.contains(&(name.as_str(), id)) {
                continue;
            }
            let shares =
                |one: &&WatchedBuffer| one.span.start < span.end && span.start < one.span.end;
            added.push(AddedBuffer {
                name,
                kind: type_name(&object),
                span,
                shares_with: watched.iter().find(shares).map(|one| one.name.clone()),
            });
        }
    }
    added
}
