//! The buffers behind Series and DataFrames of polars. polars is never imported here.
//!
//! polars shows no address of its own. It exports each Series by Arrow's C interface, without a copy where Arrow has its
//! form; what is copied for the export lies elsewhere in the next one, by which it is known.

use pyo3::prelude::*;

use super::arrow_stream::{self, ArrowBuffer};
use super::{Buffer, Export, ExportedBuffer};
use crate::python::objects::{is_of, type_name};
use diaphane_cpython::modules::imported;
use diaphane_sight::proc::spans::{Layout, Span};

/// What an object of polars holds; `None` for any other object.
pub(super) fn parts<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Vec<ExportedBuffer<'py>>>> {
    let Some(polars) = imported(object.py(), "polars")? else {
        return Ok(None);
    };
    let is = |class| is_of(object, &polars, class);
    if is("Series")? {
        return series(object, object, "").map(Some);
    }
    if !is("DataFrame")? {
        return Ok(None);
    }
    let mut found = Vec::new();
    // One by one: a DataFrame whose columns are divided differently would be copied.
    for column in object.call_method0("get_columns")?.try_iter()? {
        let column = column?;
        let name: String = column.getattr("name")?.extract()?;
        found.extend(series(object, &column, &format!("[{name}]"))?);
    }
    Ok(Some(found))
}

/// The buffers of a Series, those that are its own and those that are made for the export.
fn series<'py>(
    whole: &Bound<'py, PyAny>,
    series: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<Vec<ExportedBuffer<'py>>> {
    let export = || arrow_stream::parts(&series.call_method0("__arrow_c_stream__")?);
    let (first, second) = (export()?, export()?);
    let is_same = |one: &ArrowBuffer, other: &ArrowBuffer| one.address == other.address;
    let is_own = |index: usize, part: &ArrowBuffer| {
        second.get(index).is_some_and(|other| is_same(part, other))
    };
    let one = |(index, part): (usize, &ArrowBuffer)| {
        let name = format!("{name}{}", part.name);
        if is_own(index, part) {
            return ExportedBuffer::new(name, buffer(whole, part));
        }
        let reason = "polars keeps it in a form of its own, and copies it for others";
        ExportedBuffer::nothing(name, reason)
    };
    Ok(first.iter().enumerate().map(one).collect())
}

fn buffer<'py>(whole: &Bound<'py, PyAny>, part: &ArrowBuffer) -> Buffer<'py> {
    let layout = Layout {
        address: part.address,
        shape: vec![part.size],
        strides: vec![1],
        item: 1,
    };
    let span = Span::new(part.address, part.address.saturating_add(part.size));
    Buffer {
        kind: type_name(whole),
        dtype: part.dtype.clone(),
        owner_span: Some(span),
        _export: Some(Export::Arrow(part.chunk.clone())),
        ..Buffer::new(whole, layout)
    }
}
