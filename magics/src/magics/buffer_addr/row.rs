//! The fields of a row, and the columns that show them.

use std::collections::HashSet;

use diaphane_sight::proc::pages::Backing;
use diaphane_sight::proc::spans::Layout;
use serde::Serialize;

use super::{Listed, fold};
use diaphane_report::Address;
use diaphane_report::view::bytes;

#[derive(Serialize, Default)]
pub(super) struct BufferRow<'a> {
    pub(super) name: &'a str,
    count: Option<usize>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    dtype: Option<&'a str>,
    shape: Option<&'a [usize]>,
    strides: Option<&'a [isize]>,
    addr: Option<Address>,
    end: Option<Address>,
    nbytes: Option<usize>,
    total_bytes: Option<usize>,
    pub(super) owner: Option<&'a str>,
    owner_type: Option<&'a str>,
    owner_addr: Option<Address>,
    owner_nbytes: Option<usize>,
    pub(super) holder: Option<String>,
    offset: Option<isize>,
    flags: Option<Vec<&'static str>>,
    alignment: Option<usize>,
    mapping: Option<&'a str>,
    allocator: Option<&'a str>,
    refs: Option<isize>,
    allocated_at: Option<&'a str>,
    present: Option<usize>,
    huge: Option<usize>,
    zero: Option<usize>,
    swapped: Option<usize>,
    numa: Option<&'a [usize]>,
    pub(super) shares_with: Option<Vec<&'a str>>,
    sharers: Option<String>,
    error: Option<&'a str>,
}

impl BufferRow<'_> {
    /// Whether all were asked, and nobody shares.
    pub(super) fn is_alone(&self) -> bool {
        self.sharers.as_deref() == Some(NOBODY)
    }
}

/// Who shares where all were asked and nobody does.
const NOBODY: &str = "nobody";

/// The fields of one line, which may stand for several buffers.
/// Not all others were asked where `is_cut` says so.
pub(super) fn of<'a>(
    row: &'a fold::FoldedRow,
    all: &'a [Listed<'_>],
    is_cut: bool,
) -> BufferRow<'a> {
    let members = || row.members.iter().map(|&index| &all[index]);
    let one = &all[row.members[0]];
    let count = (row.members.len() > 1).then_some(row.members.len());
    let buffer = match &one.buffer {
        Ok(buffer) => buffer,
        Err(error) => {
            return BufferRow {
                name: &row.name,
                count,
                kind: Some(&one.kind),
                error: Some(error),
                ..BufferRow::default()
            };
        }
    };
    // What is only known of some is not known of all.
    let sum = |field: fn(&Backing) -> Option<usize>| {
        members()
            .map(|one| one.backed.backing.as_ref().and_then(field))
            .sum::<Option<usize>>()
    };
    let shares = sharers(members(), all);
    let layout = &buffer.layout;
    BufferRow {
        name: &row.name,
        count,
        kind: Some(&buffer.kind),
        dtype: Some(&buffer.dtype),
        shape: Some(&layout.shape),
        strides: Some(&layout.strides),
        addr: Some(Address(layout.address)),
        end: Some(Address(layout.bounds().end)),
        nbytes: Some(layout.listed()),
        total_bytes: Some(layout.listed().saturating_mul(row.members.len())),
        owner: one.owner_name().filter(|_| is_one_owner(members())),
        owner_type: Some(&one.owner.kind),
        owner_addr: one.owner.span.map(|span| Address(span.start)),
        owner_nbytes: one.owner.span.map(|span| span.len()),
        holder: (!one.owner.is_self).then(|| holder(one, is_one_owner(members()))),
        offset: one
            .owner
            .span
            .map(|span| layout.address.wrapping_sub(span.start).cast_signed()),
        flags: Some(flags(one, layout)),
        alignment: Some(alignment(layout.address)),
        mapping: one.mapping.as_deref(),
        allocator: one.owner.allocator.as_deref(),
        refs: one.refs.filter(|_| count.is_none()),
        allocated_at: one.allocated_at.as_deref(),
        present: sum(|backing| Some(backing.present)),
        huge: sum(|backing| backing.huge),
        zero: sum(|backing| backing.zero),
        swapped: sum(|backing| Some(backing.swapped)),
        numa: one.backed.nodes.as_deref(),
        sharers: Some(in_words(&shares, is_cut)),
        shares_with: Some(shares),
        error: None,
    }
}

/// Who shares; that nobody does is known where all were asked.
fn in_words(shares: &[&str], is_cut: bool) -> String {
    match (shares.is_empty(), is_cut) {
        (false, _) => shares.join(", "),
        (true, false) => NOBODY.into(),
        (true, true) => "not all asked".into(),
    }
}

/// The rows and variables that share memory with some buffers, each once.
fn sharers<'a, 'py: 'a>(
    members: impl Iterator<Item = &'a Listed<'py>>,
    all: &'a [Listed<'py>],
) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    members
        .flat_map(|one| &one.shares_with)
        .map(|&other| all[other].row_name.as_str())
        .filter(|name| seen.insert(*name))
        .collect()
}

fn is_one_owner<'a, 'py: 'a>(mut members: impl Iterator<Item = &'a Listed<'py>>) -> bool {
    let first = members.next().map(|one| one.owner.id);
    members.all(|one| Some(one.owner.id) == first)
}

/// The owner by its name, or what it is. Of several owners, what each is.
fn holder(one: &Listed<'_>, is_one: bool) -> String {
    match (one.owner_name().filter(|_| is_one), one.owner.span) {
        (Some(name), _) => name.to_owned(),
        (None, Some(span)) => format!("{} {}", one.owner.kind, bytes(span.len() as f64)),
        (None, None) => one.owner.kind.clone(),
    }
}

fn flags(one: &Listed<'_>, layout: &Layout) -> Vec<&'static str> {
    let Ok(buffer) = &one.buffer else {
        return Vec::new();
    };
    let flag = |is_set: bool, word| is_set.then_some(word);
    let flags = [
        flag(buffer.c_contiguous, "C"),
        flag(buffer.f_contiguous, "F"),
        flag(buffer.writeable, "W"),
        flag(layout.address.is_multiple_of(64), "A64"),
    ];
    flags.into_iter().flatten().collect()
}

/// The largest power of two up to a page that divides an address.
pub(super) fn alignment(address: usize) -> usize {
    const PAGE: usize = 4096;
    1 << (address | PAGE).trailing_zeros()
}
