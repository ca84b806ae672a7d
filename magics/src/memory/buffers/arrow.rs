//! The buffers behind pyarrow's arrays, chunked arrays, record batches and tables. pyarrow is never imported here.

use diaphane_sight::proc::spans::{Layout, Span};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{Buffer, ExportedBuffer};
use crate::python::objects::{is_of, type_name};
use diaphane_cpython::modules::imported;

/// What an object of pyarrow holds; `None` for any other object.
pub(super) fn parts<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Vec<ExportedBuffer<'py>>>> {
    let Some(library) = imported(object.py(), "pyarrow.lib")? else {
        return Ok(None);
    };
    let is = |class| is_of(object, &library, class);
    let mut found = Vec::new();
    if is("Buffer")? {
        found.push(ExportedBuffer::new("", buffer(object, object, "")?));
    } else if is("Array")? {
        array(object, object, "", &mut found)?;
    } else if is("ChunkedArray")? {
        chunks(object, object, "", &mut found)?;
    } else if is("Table")? || is("RecordBatch")? {
        columns(object, &mut found)?;
    } else {
        return Ok(None);
    }
    Ok(Some(found))
}

/// Where the parts of a nested object are collected.
type Sink<'a, 'py> = &'a mut Vec<ExportedBuffer<'py>>;

fn columns<'py>(table: &Bound<'py, PyAny>, found: Sink<'_, 'py>) -> PyResult<()> {
    let names: Vec<Bound<'_, PyAny>> = table.getattr("column_names")?.extract()?;
    for (number, name) in names.iter().enumerate() {
        let column = table.call_method1("column", (number,))?;
        let part = match name.cast::<PyString>() {
            Ok(name) => format!("[{}]", name.to_string_lossy()),
            Err(_) => format!("[column {number}]"),
        };
        if column.hasattr("chunks")? {
            chunks(table, &column, &part, found)?;
        } else {
            array(table, &column, &part, found)?;
        }
    }
    Ok(())
}

fn chunks<'py>(
    whole: &Bound<'py, PyAny>,
    chunked: &Bound<'py, PyAny>,
    part: &str,
    found: Sink<'_, 'py>,
) -> PyResult<()> {
    let chunks: Vec<Bound<'_, PyAny>> = chunked.getattr("chunks")?.extract()?;
    for (number, chunk) in chunks.iter().enumerate() {
        let part = match chunks.len() {
            1 => part.to_owned(),
            _ => format!("{part}.chunk[{number}]"),
        };
        array(whole, chunk, &part, found)?;
    }
    Ok(())
}

/// An array's buffers, those of its children behind its own, and those of its dictionary.
fn array<'py>(
    whole: &Bound<'py, PyAny>,
    array_: &Bound<'py, PyAny>,
    part: &str,
    found: Sink<'_, 'py>,
) -> PyResult<()> {
    let kind = array_.getattr("type")?;
    let buffers: Vec<Bound<'_, PyAny>> = array_.call_method0("buffers")?.extract()?;
    let dtype = type_text(&kind)?;
    let items = Items::of(array_, &kind)?;
    let is_flat = kind.getattr("num_fields")?.extract::<usize>()? == 0;
    for (number, one) in buffers.iter().enumerate() {
        if one.is_none() {
            continue;
        }
        // A nested array lists the buffers of its children too, in an order that each kind defines.
        let name = match (number, buffers.len()) {
            (0, 1..) => ".validity".to_owned(),
            (1, 2) if is_flat => ".data".to_owned(),
            (1, 3) if is_flat => ".offsets".to_owned(),
            (2, 3) if is_flat => ".data".to_owned(),
            _ => format!(".buffer[{number}]"),
        };
        let (dtype, width) = match name.as_str() {
            ".data" => (dtype.as_str(), items.width),
            ".offsets" => (items.offset_type(), Some(items.offset_width)),
            ".validity" => ("bitmap", None),
            _ => ("", None),
        };
        let count = items.count + usize::from(name == ".offsets");
        let all = buffer(whole, one, dtype)?;
        let own = width.and_then(|width| items.layout(&all.layout, width, count));
        found.push(ExportedBuffer::new(
            format!("{part}{name}"),
            Buffer {
                // An array of Arrow has no way to write to it, whoever may write to its buffer.
                writeable: false,
                ..all.laid_out(own)
            },
        ));
    }
    match array_.getattr_opt("dictionary")? {
        Some(dictionary) => array(whole, &dictionary, &format!("{part}.dictionary"), found),
        None => Ok(()),
    }
}

/// The items of an array: a slice shows a part of its buffers.
struct Items {
    offset: usize,
    count: usize,
    /// Bytes of an item; nothing where they have bits, or sizes of their own.
    width: Option<usize>,
    /// Bytes of a number that says where a text or a list begins.
    offset_width: usize,
}

impl Items {
    fn of(array: &Bound<'_, PyAny>, kind: &Bound<'_, PyAny>) -> PyResult<Self> {
        // Arrow raises where items have no width.
        let bits = kind
            .getattr("bit_width")
            .and_then(|bits| bits.extract::<usize>());
        let is_large = type_text(kind)?.starts_with("large_");
        Ok(Self {
            offset: array.getattr("offset")?.extract()?,
            count: array.len()?,
            width: bits
                .ok()
                .filter(|bits| *bits > 0 && bits.is_multiple_of(8))
                .map(|bits| bits / 8),
            offset_width: if is_large { 8 } else { 4 },
        })
    }

    fn offset_type(&self) -> &'static str {
        if self.offset_width == 8 {
            "int64"
        } else {
            "int32"
        }
    }

    /// Where the items lie in a buffer; nothing if it has no room for them.
    fn layout(&self, buffer: &Layout, width: usize, count: usize) -> Option<Layout> {
        let begin = self.offset.checked_mul(width)?;
        let size = count.checked_mul(width)?;
        (begin.checked_add(size)? <= buffer.listed()).then(|| Layout {
            address: buffer.address + begin,
            shape: vec![count],
            strides: vec![width.cast_signed()],
            item: width,
        })
    }
}

/// Arrow's buffers are ranges of bytes; the type of the array says what they mean.
fn buffer<'py>(
    whole: &Bound<'py, PyAny>,
    object: &Bound<'py, PyAny>,
    dtype: &str,
) -> PyResult<Buffer<'py>> {
    let span = span(object)?;
    let layout = Layout {
        address: span.start,
        shape: vec![span.len()],
        strides: vec![1],
        item: 1,
    };
    let mut chain = Vec::new();
    let mut parent = object.getattr("parent")?;
    while !parent.is_none() && chain.len() < 64 {
        chain.push(parent.clone());
        parent = parent.getattr("parent")?;
    }
    let owner_span = match chain.last() {
        Some(last) => self::span(last)?,
        None => span,
    };
    Ok(Buffer {
        kind: type_name(whole),
        dtype: if dtype.is_empty() { "bytes" } else { dtype }.into(),
        writeable: object.getattr("is_mutable")?.extract()?,
        chain,
        owner_span: Some(owner_span),
        ..Buffer::new(object, layout)
    })
}

fn span(buffer: &Bound<'_, PyAny>) -> PyResult<Span> {
    let address: usize = buffer.getattr("address")?.extract()?;
    let size: usize = buffer.getattr("size")?.extract()?;
    Ok(Span::new(address, address.saturating_add(size)))
}

/// Arrow's own types are written by Arrow; a type that a user made might run the user's code.
fn type_text(kind: &Bound<'_, PyAny>) -> PyResult<String> {
    let class = kind.get_type();
    if class.module()?.to_string_lossy() == "pyarrow.lib" {
        return Ok(kind.str()?.to_string_lossy().into_owned());
    }
    Ok(type_name(kind))
}
