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
const DTYPE: usize = 5 * WORD;
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
    let item = (
        places.item_offset.load(Ordering::Relaxed) as usize,
        places.item_size.load(Ordering::Relaxed) as usize,
    );
    let array = |name: &str, object| {
        let span = span(&reader, object, item)?;
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

fn span(reader: &Reader, object: usize, (offset, size): (usize, usize)) -> Option<Span> {
    let class = reader.class_name(object)?;
    matches!(class.as_str(), "numpy.ndarray" | "numpy.memmap").then_some(())?;
    let axes = reader.int_field(object, AXES)?;
    (0..=MOST_AXES).contains(&axes).then_some(())?;
    let axes = usize::try_from(axes).ok()?;
    // The strides lie behind the shape, in the same block.
    let both = reader.words(reader.field(object, SHAPE)?, 2 * axes);
    let dtype = reader.field(object, DTYPE)?;
    let head = reader.head();
    let item = match size {
        4 => usize::try_from(reader.int_field(dtype, offset.checked_sub(head)?)?).ok()?,
        8 => reader.field(dtype, offset.checked_sub(head)?)?,
        _ => return None,
    };
    let start = reader.field(object, DATA)?;
    let (shape, strides) = both.split_at_checked(axes)?;
    let (mut first, mut last) = (start, start);
    for (count, stride) in shape.iter().zip(strides) {
        let reach = stride
            .cast_signed()
            .checked_mul(count.checked_sub(1)?.cast_signed())?;
        match reach {
            back if back < 0 => first = first.checked_add_signed(back)?,
            on => last = last.checked_add_signed(on)?,
        }
    }
    Some(Span::new(first, last.checked_add(item)?))
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
