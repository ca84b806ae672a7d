//! What is remarkable about sharing that no base tells: overlaps without a common owner, pandas' blocks, BLAS.

use super::super::Listed;
use super::names;
use diaphane_report::{Diagnosis, Severity};

pub(super) fn all(listed: &[Listed<'_>]) -> impl Iterator<Item = Diagnosis> {
    [unrelated(listed), blocks(listed), for_blas(listed)]
        .into_iter()
        .flatten()
}

/// Buffers that share bytes, though their chains of bases end at different objects.
fn unrelated(listed: &[Listed<'_>]) -> Option<Diagnosis> {
    let mut pairs = Vec::new();
    for (index, one) in listed.iter().enumerate() {
        let later = one.shares_with.iter().filter(|&&other| other > index);
        let others = later.map(|&other| &listed[other]);
        pairs.extend(
            others
                .filter(|other| other.owner.id != one.owner.id)
                // What nobody can write nobody can change.
                .filter(|other| is_writeable(one) || is_writeable(other))
                .map(|other| (one, other)),
        );
    }
    let (one, other) = pairs.first()?;
    let more = match pairs.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more pairs)"),
    };
    Some(Diagnosis {
        code: "B004",
        severity: Severity::Warn,
        title: format!(
            "{} and {} share memory, though no base of theirs tells it{more}.",
            one.name, other.name
        ),
        evidence: pairs
            .iter()
            .map(|(one, other)| {
                let both = one.bounds().zip(other.bounds());
                let both = both.map(|(one, other)| one.intersection(other));
                let (start, end) = both.map_or((0, 0), |span| (span.start, span.end));
                format!("{} and {}: {start:#x}-{end:#x}", one.name, other.name)
            })
            .collect(),
        fix: "Writing to one changes the other; take the one as a view of the other, or copy."
            .into(),
    })
}

fn is_writeable(one: &Listed<'_>) -> bool {
    one.buffer.as_ref().is_ok_and(|buffer| buffer.writeable)
}

/// Whether it belongs to an object that copies before it writes.
pub(super) fn is_pandas(one: &Listed<'_>) -> bool {
    let kind = one.buffer.as_ref().map(|buffer| buffer.kind.as_str());
    matches!(kind, Ok("DataFrame" | "Series"))
}

/// Columns of a DataFrame in one array, and pandas objects that share one.
fn blocks(listed: &[Listed<'_>]) -> Option<Diagnosis> {
    let columns = |one: &Listed<'_>| match one.layout() {
        Some(layout) if layout.shape.len() == 2 => layout.shape[0],
        _ => 1,
    };
    let found: Vec<&Listed<'_>> = listed
        .iter()
        .filter(|one| {
            let shared = one
                .shares_with
                .iter()
                .any(|&other| is_pandas(&listed[other]));
            is_pandas(one) && (columns(one) > 1 || shared)
        })
        .collect();
    let evidence = |one: &&Listed<'_>| {
        let others = one
            .shares_with
            .iter()
            .map(|&other| listed[other].name.as_str());
        let others: Vec<&str> = others.collect();
        match (columns(one), others.is_empty()) {
            (1, _) => format!("{} lies in the memory of {}", one.name, others.join(", ")),
            (many, true) => format!("{}: {many} columns in one array", one.name),
            (many, false) => format!(
                "{}: {many} columns in one array, shared with {}",
                one.name,
                others.join(", ")
            ),
        }
    };
    let title = match found.as_slice() {
        [] => return None,
        [one] => format!("{} is one array for all these columns.", one.name),
        _ => format!("{} hold several columns, or share them.", names(&found)),
    };
    Some(Diagnosis {
        code: "B005",
        severity: Severity::Info,
        title,
        evidence: found.iter().map(evidence).collect(),
        fix: "pandas copies when one of several owners is written (Copy-on-Write); a column of a block is a strided view."
            .into(),
    })
}

/// Matrices that no BLAS routine can read where they lie.
fn for_blas(listed: &[Listed<'_>]) -> Option<Diagnosis> {
    let found: Vec<&Listed<'_>> = listed.iter().filter(|one| is_hard_for_blas(one)).collect();
    let verb = if found.len() > 1 {
        "they lie"
    } else {
        "it lies"
    };
    (!found.is_empty()).then(|| Diagnosis {
        code: "B009",
        severity: Severity::Info,
        title: format!("BLAS cannot read {} as {verb}.", names(&found)),
        evidence: found
            .iter()
            .filter_map(|one| Some((one, one.layout()?)))
            .map(|(one, layout)| {
                format!(
                    "{}: shape {:?}, strides {:?}, items of {} bytes",
                    one.name, layout.shape, layout.strides, layout.item
                )
            })
            .collect(),
        fix: "Each product copies it first, or does without BLAS; np.ascontiguousarray copies it once.".into(),
    })
}

/// BLAS wants one axis without gaps, and the other one in whole items that do not overlap.
fn is_hard_for_blas(one: &Listed<'_>) -> bool {
    const TYPES: [&str; 4] = ["float32", "float64", "complex64", "complex128"];
    /// Below so many items nobody notices.
    const FEW: usize = 64 * 64;
    let Ok(buffer) = &one.buffer else {
        return false;
    };
    let layout = &buffer.layout;
    let (&[rows, columns], &[down, across]) = (layout.shape.as_slice(), layout.strides.as_slice())
    else {
        return false;
    };
    let item = layout.item.cast_signed();
    let reads = |dense: isize, other: isize, count: usize| {
        dense == item && other % item == 0 && other / item >= count.cast_signed()
    };
    TYPES.contains(&buffer.dtype.as_str())
        && rows.min(columns) > 1
        && rows * columns >= FEW
        && !reads(across, down, columns)
        && !reads(down, across, rows)
}
