//! What is remarkable about sharing that no base tells: overlaps without a common owner, pandas' blocks, BLAS.

use super::super::Listed;
use super::names;
use diaphane_report::{Diagnosis, Severity};

/// About the first `asked`, and whom they share with.
pub(super) fn all(listed: &[Listed<'_>], asked: usize) -> impl Iterator<Item = Diagnosis> {
    let for_blas = for_blas(&listed[..asked]);
    [unrelated(listed, asked), blocks(listed, asked), for_blas]
        .into_iter()
        .flatten()
}

/// Buffers that share bytes, though their chains of bases end at different objects.
fn unrelated(listed: &[Listed<'_>], asked: usize) -> Option<Diagnosis> {
    let mut pairs = Vec::new();
    for (index, one) in listed[..asked].iter().enumerate() {
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
fn blocks(listed: &[Listed<'_>], asked: usize) -> Option<Diagnosis> {
    let found: Vec<&Listed<'_>> = listed[..asked]
        .iter()
        .filter(|one| {
            let shared = one
                .shares_with
                .iter()
                .any(|&other| is_pandas(&listed[other]));
            is_pandas(one) && (columns(one) > 1 || shared)
        })
        .collect();
    // Each sentence is about one object; those that share say what is shared.
    let mut sentences: Vec<String> = found.iter().map(|one| of_columns(one, listed)).collect();
    sentences.dedup();
    let more = match sentences.len().checked_sub(TOLD) {
        None | Some(0) => String::new(),
        Some(more) => format!(" (and {more} more)"),
    };
    let title = format!(
        "{}{more}.",
        sentences
            .iter()
            .take(TOLD)
            .cloned()
            .collect::<Vec<_>>()
            .join("; ")
    );
    // Of several, one that is shared says what pandas does.
    let told = found.iter().filter_map(|one| one.buffer.as_ref().ok());
    let copies = told.filter_map(|buffer| buffer.copies_before_write).max();
    let writes = match copies {
        Some(true) => {
            "pandas copies before the next write to one of those that share (Copy-on-Write)"
        }
        Some(false) => "A write to one of them is seen by all that show the same memory",
        None => "Whether pandas copies before a write is not known here",
    };
    let gaps = match found.iter().any(|one| columns(one) > 1) {
        true => "; a column of an array of several is a view with gaps",
        false => "",
    };
    if found.is_empty() {
        return None;
    }
    Some(Diagnosis {
        code: "B005",
        severity: Severity::Info,
        title,
        evidence: found.iter().map(|one| of_columns(one, listed)).collect(),
        fix: format!("{writes}{gaps}."),
    })
}

/// How many columns of a DataFrame an array holds.
fn columns(one: &Listed<'_>) -> usize {
    match one.layout() {
        Some(layout) if layout.shape.len() == 2 => layout.shape[0],
        _ => 1,
    }
}

/// What an object of pandas is: an array for several columns, or a part of what others show too.
fn of_columns(one: &Listed<'_>, listed: &[Listed<'_>]) -> String {
    let others = one.shares_with.iter();
    let others: Vec<&str> = others.map(|&other| listed[other].name.as_str()).collect();
    match (columns(one), others.is_empty()) {
        (1, _) => format!("{} shares its memory with {}", one.name, few(&others)),
        (many, true) => format!("{} is one array for {many} columns", one.name),
        (many, false) => format!(
            "{} is one array for {many} columns, which {} shows too",
            one.name,
            few(&others)
        ),
    }
}

/// So many objects are told in the title.
const TOLD: usize = 2;

/// The first names, and how many more.
fn few(names: &[&str]) -> String {
    const FEW: usize = 3;
    match names.len().checked_sub(FEW) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..FEW].join(", ")),
    }
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
