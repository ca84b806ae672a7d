//! Which memory is watched: that of the named variables, or of all.

use std::collections::{HashMap, HashSet};

use diaphane_sight::proc::pages::{page_size, whole_pages};
use diaphane_sight::proc::spans::{self, Span};
use pyo3::prelude::*;

use crate::error::Error;
use crate::magic::User;
use crate::memory::buffers;
use crate::memory::object_graph::roots;
use crate::memory::paths::named;
use crate::python::objects::type_name;

const ASKED: &str = "%%buffer_writes";
/// Of buffers up to this size a whole copy is kept; of larger ones what tells whether they changed on a page that others
/// share.
const COPIED: usize = 64 << 10;
/// No more than this is copied.
const MOST_COPIED: usize = 16 << 20;

/// What is watched, and what else there was before.
#[derive(Default)]
pub(super) struct WatchedMemory<'py> {
    pub buffers: Vec<WatchedBuffer>,
    /// The objects whose memory they are.
    pub owners: Vec<Bound<'py, PyAny>>,
    /// Buffers that nobody can write, such as Arrow's: by name and place.
    pub read_only: HashSet<(String, Span)>,
}

/// A buffer that is watched.
pub(super) struct WatchedBuffer {
    pub name: String,
    /// The type of the object.
    pub kind: String,
    /// From its first to behind its last byte.
    pub span: Span,
    /// The size of an item, where the items lie one behind the other.
    pub item: Option<usize>,
    /// Its bytes before the cell: of a small one all, of another one those on pages that others share.
    pub before: Copies,
    /// The owner's place among those that are watched for their end.
    pub owner: usize,
    /// Which object that is.
    owner_id: usize,
}

/// Bytes from before the cell.
#[derive(Default)]
pub(super) struct Copies(Vec<(Span, Vec<u8>)>);

impl Copies {
    /// Of a buffer, as long as there is room for them.
    fn of(span: Span, room: &mut usize) -> Self {
        let own = own_pages(span);
        let parts = match span.len() <= COPIED || own.is_empty() {
            true => vec![span],
            false => vec![
                Span::new(span.start, own.start),
                Span::new(own.end, span.end),
            ],
        };
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let Some(rest) = room.checked_sub(wanted) else {
            return Self::default();
        };
        *room = rest;
        let copy = |part: Span| (part, spans::bytes(part.start, part.len()));
        Self(parts.into_iter().map(copy).collect())
    }

    /// Whether a part is other than before; `None` of one that was not copied.
    pub fn changed(&self, part: Span) -> Option<bool> {
        let held = |(span, _): &&(Span, Vec<u8>)| span.intersection(part) == part;
        let (span, bytes) = self.0.iter().find(held)?;
        let from = part.start - span.start;
        Some(spans::bytes(part.start, part.len()) != bytes[from..from + part.len()])
    }
}

/// The pages that a buffer has to itself.
pub(super) fn own_pages(span: Span) -> Span {
    let page = page_size();
    let start = span.start.next_multiple_of(page);
    Span::new(start, (span.end / page * page).max(start))
}

/// The variables that were named, or all.
fn asked<'py>(
    names: &[String],
    user: User<'_, 'py>,
) -> Result<Vec<(String, Bound<'py, PyAny>)>, Error> {
    if names.is_empty() {
        return Ok(roots::visible(user));
    }
    let root = |name: &String| Ok((name.clone(), named(ASKED, name, user)?));
    names.iter().map(root).collect()
}

/// The buffers, and the objects whose memory they are.
pub(super) fn of<'py>(names: &[String], user: User<'_, 'py>) -> Result<WatchedMemory<'py>, Error> {
    let is_named = !names.is_empty();
    let mut all = WatchedMemory::default();
    let mut room = MOST_COPIED;
    for (name, object) in asked(names, user)? {
        let before = all.buffers.len();
        for found in buffers::of(&object, is_named) {
            let Ok(buffer) = found.buffer else { continue };
            let span = buffer.layout.bounds();
            let name = format!("{name}{}", found.part);
            if span.is_empty() {
                continue;
            }
            if !(buffer.writeable || is_named) {
                all.read_only.insert((name, span));
                continue;
            }
            all.buffers.push(WatchedBuffer {
                name,
                kind: type_name(&object),
                span,
                item: buffer.layout.is_dense().then_some(buffer.layout.item),
                before: Copies::of(span, &mut room),
                owner: all.owners.len(),
                owner_id: buffer.owner().as_ptr().addr(),
            });
            // What Arrow shows its memory by is made for each question.
            let is_arrow = buffer.owner_span.is_some();
            all.owners.push(if is_arrow {
                object.clone()
            } else {
                buffer.owner().clone()
            });
        }
        if is_named && all.buffers.len() == before {
            return Err(Error::Usage(format!(
                "{ASKED}: {name} is a {}, which shows no memory; arrays and other buffers do",
                type_name(&object)
            )));
        }
    }
    Ok(all)
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

/// Memory that a variable has since the cell, and did not have before.
pub(super) struct AddedBuffer {
    pub name: String,
    pub kind: String,
    pub span: Span,
    /// The variable that had the memory before the cell.
    pub shares_with: Option<String>,
}

/// What the variables have now.
#[derive(Default)]
pub(super) struct Now {
    /// Memory that they did not have before.
    pub added: Vec<AddedBuffer>,
    /// The watched buffers that their variables still have.
    pub kept: HashSet<usize>,
    /// Those whose owner has its memory elsewhere now, as a bytearray that grew.
    pub moved: HashSet<usize>,
}

/// Looks at the variables again. A freed buffer's place may be another one's by now.
pub(super) fn now(
    watched: &[WatchedBuffer],
    read_only: &HashSet<(String, Span)>,
    is_freed: impl Fn(&WatchedBuffer) -> bool,
    names: &[String],
    user: User<'_, '_>,
) -> Now {
    let mut now = Now::default();
    // What has gone meanwhile has no memory.
    let roots = match names.is_empty() {
        true => roots::visible(user),
        false => names
            .iter()
            .filter_map(|name| Some((name.clone(), named(ASKED, name, user).ok()?)))
            .collect(),
    };
    let known: HashMap<(&str, Span), usize> = watched
        .iter()
        .enumerate()
        .filter(|(_, one)| !is_freed(one))
        .map(|(place, one)| ((one.name.as_str(), one.span), place))
        .collect();
    for (name, object) in roots {
        for found in buffers::of(&object, !names.is_empty()) {
            let Ok(buffer) = found.buffer else { continue };
            let (name, span) = (format!("{name}{}", found.part), buffer.layout.bounds());
            if let Some(place) = known.get(&(name.as_str(), span)) {
                now.kept.insert(*place);
                continue;
            }
            let owner = buffer.owner().as_ptr().addr();
            let moved = watched
                .iter()
                .position(|one| one.name == name && one.owner_id == owner);
            now.moved.extend(moved.filter(|_| buffer.is_owner()));
            if !span.is_empty() && !read_only.contains(&(name.clone(), span)) {
                let shares =
                    |one: &&WatchedBuffer| one.span.start < span.end && span.start < one.span.end;
                now.added.push(AddedBuffer {
                    name,
                    kind: type_name(&object),
                    span,
                    shares_with: watched
                        .iter()
                        .filter(|one| !is_freed(one))
                        .find(shares)
                        .map(|one| one.name.clone()),
                });
            }
        }
    }
    now
}
