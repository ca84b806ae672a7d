//! The arrays that the user's variables hold, read from memory without the GIL.

use std::sync::atomic::Ordering;

use diaphane_cpython::reader::Reader;
use diaphane_sight::crash::black_box::BlackBox;
use diaphane_sight::proc::spans::Span;

const WORD: usize = size_of::<usize>();
/// Fields of `PyArrayObject`, from the end of an object's head.
const DATA: usize = 0;
const AXES: usize = WORD;
const SHAPE: usize = 2 * WORD;
const FLAGS: usize = 6 * WORD;
/// In C's order or in Fortran's, without gaps.
const CONTIGUOUS: i32 = 3;
/// No array has more axes.
const MOST_AXES: i32 = 64;

/// An array or a library by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedSpan {
    pub name: String,
    /// From its first byte to behind the last one.
    pub span: Span,
}

/// The arrays that variables hold now; nothing where it is not known how to read them.
pub(super) fn held(black_box: &BlackBox, reader: Option<Reader>) -> Vec<NamedSpan> {
    let places = &black_box.places;
    let namespace = places.namespace.load(Ordering::Relaxed);
    let is_known = places.knows_dicts.load(Ordering::Relaxed) != 0;
    let variables = reader
        .filter(|_| is_known && namespace != 0)
        .and_then(|reader| Some((reader, reader.entries(namespace)?)));
    let Some((reader, variables)) = variables else {
        return Vec::new();
    };
    let array = |name: &str, object| {
        let span = span(&reader, object)?;
        Some(NamedSpan {
            name: name.to_owned(),
            span,
        })
    };
    let users = variables.iter().filter(|one| !one.name.starts_with('_'));
    users
        .filter_map(|one| array(&one.name, one.object))
        .collect()
}

fn span(reader: &Reader, object: usize) -> Option<Span> {
    let class = reader.class_name(object)?;
    matches!(class.as_str(), "numpy.ndarray" | "numpy.memmap").then_some(())?;
    let axes = reader.int_field(object, AXES)?;
    (1..=MOST_AXES).contains(&axes).then_some(())?;
    let axes = usize::try_from(axes).ok()?;
    // Of other arrays the strides do not tell how large an item is.
    (reader.int_field(object, FLAGS)? & CONTIGUOUS != 0).then_some(())?;
    // The strides lie behind the shape, in the same block.
    let both = reader.words(reader.field(object, SHAPE)?, 2 * axes);
    let (shape, strides) = both.split_at_checked(axes)?;
    let steps = shape.iter().zip(strides).filter(|(count, _)| **count > 1);
    let item = steps.map(|(_, stride)| *stride).min()?;
    let length = shape
        .iter()
        .try_fold(item, |length, count| length.checked_mul(*count))?;
    let start = reader.field(object, DATA)?;
    Some(Span::new(start, start.checked_add(length)?))
}

/// The arrays that variables held when the last cell began.
pub(super) fn held_before(black_box: &BlackBox) -> Vec<NamedSpan> {
    let slots = black_box.arrays.iter();
    let named = slots.map(|slot| {
        let start = slot.address.load(Ordering::Relaxed);
        NamedSpan {
            name: slot.name.get(),
            span: Span::new(
                start,
                start.saturating_add(slot.length.load(Ordering::Relaxed)),
            ),
        }
    });
    named.take_while(|one| one.span.start != 0).collect()
}

/// The libraries that were ever loaded, by their files.
pub(super) fn libraries_before(black_box: &BlackBox) -> Vec<NamedSpan> {
    let named = black_box.libraries().map(|slot| NamedSpan {
        name: slot.path.get(),
        span: Span::new(
            slot.start.load(Ordering::Relaxed),
            slot.end.load(Ordering::Relaxed),
        ),
    });
    named.collect()
}
