//! The fields of a row, and the columns that show them.

use diaphane_sight::proc::spans::Layout;
use serde::Serialize;

use super::Listed;
use diaphane_report::Address;
use diaphane_report::view::bytes;

#[derive(Serialize, Default)]
pub(super) struct BufferRow<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    dtype: Option<&'a str>,
    shape: Option<&'a [usize]>,
    strides: Option<&'a [isize]>,
    addr: Option<Address>,
    end: Option<Address>,
    nbytes: Option<usize>,
    owner: Option<&'a str>,
    owner_type: Option<&'a str>,
    owner_addr: Option<Address>,
    owner_nbytes: Option<usize>,
    holder: Option<String>,
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
    shares_with: Option<Vec<&'a str>>,
    error: Option<&'a str>,
}

/// The fields of one line.
pub(super) fn of<'a>(one: &'a Listed<'_>, all: &'a [Listed<'_>]) -> BufferRow<'a> {
    let buffer = match &one.buffer {
        Ok(buffer) => buffer,
        Err(error) => {
            return BufferRow {
                name: &one.name,
                error: Some(error),
                ..BufferRow::default()
            };
        }
    };
    let layout = &buffer.layout;
    let backing = one.backed.backing;
    let shares = one.shares_with.iter();
    BufferRow {
        name: &one.name,
        kind: Some(&buffer.kind),
        dtype: Some(&buffer.dtype),
        shape: Some(&layout.shape),
        strides: Some(&layout.strides),
        addr: Some(Address(layout.address)),
        end: Some(Address(layout.bounds().end)),
        nbytes: Some(layout.listed()),
        owner: one.owner_name(),
        owner_type: Some(&one.owner.kind),
        owner_addr: one.owner.span.map(|span| Address(span.start)),
        owner_nbytes: one.owner.span.map(|span| span.len()),
        holder: Some(holder(one)),
        offset: one
            .owner
            .span
            .map(|span| layout.address.wrapping_sub(span.start).cast_signed()),
        flags: Some(flags(one, layout)),
        alignment: Some(alignment(layout.address)),
        mapping: one.mapping.as_deref(),
        allocator: one.owner.allocator.as_deref(),
        refs: one.refs,
        allocated_at: one.allocated_at.as_deref(),
        present: backing.map(|backing| backing.present),
        huge: backing.and_then(|backing| backing.huge),
        zero: backing.and_then(|backing| backing.zero),
        swapped: backing.map(|backing| backing.swapped),
        numa: one.backed.nodes.as_deref(),
        shares_with: Some(shares.map(|&other| all[other].name.as_str()).collect()),
        error: None,
    }
}

/// The owner by its name, or what it is.
fn holder(one: &Listed<'_>) -> String {
    match (one.owner_name(), one.owner.span) {
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
