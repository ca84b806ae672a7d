//! The arrays behind pandas' Series, DataFrames, Indexes and its own kinds of array. pandas is never imported here.
//!
//! pandas keeps columns of one type in one block, an array with a row for each column. Its own kinds of array keep their
//! parts in fields that begin with an underscore; there is no public way to the memory of all of them.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{Buffer, ExportedBuffer, array, arrow};
use crate::python::objects::{is_of, type_name};
use diaphane_cpython::modules::imported;

/// What an object of pandas holds; `None` for any other object.
pub(super) fn parts<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Vec<ExportedBuffer<'py>>>> {
    let Some(pandas) = imported(object.py(), "pandas")? else {
        return Ok(None);
    };
    let is = |class| is_of(object, &pandas, class);
    if is("DataFrame")? {
        frame(object).map(Some)
    } else if is("Series")? {
        series(object).map(Some)
    } else if is("Index")? {
        index(object, "").map(Some)
    } else if is_own_array(object)? {
        held(object, "").map(Some)
    } else {
        Ok(None)
    }
}

/// Whether it is a Categorical or another array of pandas' own.
fn is_own_array(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Some(extensions) = imported(object.py(), "pandas.api.extensions")? else {
        return Ok(false);
    };
    is_of(object, &extensions, "ExtensionArray")
}

fn frame<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<ExportedBuffer<'py>>> {
    let labels = object
        .getattr("columns")?
        .try_iter()?
        .collect::<PyResult<Vec<_>>>()?;
    let mut found = blocks(object, |block| columns(block, &labels))?;
    found.extend(own_index(object)?);
    Ok(found)
}

fn series<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<ExportedBuffer<'py>>> {
    let mut found = blocks(object, |_| Ok(String::new()))?;
    found.extend(own_index(object)?);
    Ok(found)
}

fn blocks<'py>(
    object: &Bound<'py, PyAny>,
    part: impl Fn(&Bound<'py, PyAny>) -> PyResult<String>,
) -> PyResult<Vec<ExportedBuffer<'py>>> {
    let kind = type_name(object);
    let mut found = Vec::new();
    for block in object.getattr("_mgr")?.getattr("blocks")?.try_iter()? {
        let block = block?;
        let copies_before_write = is_shared(&block)?;
        for one in held(&block.getattr("values")?, &part(&block)?)? {
            found.push(ExportedBuffer {
                buffer: one.buffer.map(|buffer| Buffer {
                    kind: kind.clone(),
                    copies_before_write,
                    ..buffer
                }),
                ..one
            });
        }
    }
    Ok(found)
}

/// Whether other objects of pandas use the block, so that Copy-on-Write copies it before a write; nothing where pandas does
/// not say.
fn is_shared(block: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let Some(users) = block.getattr_opt("refs")? else {
        return Ok(None);
    };
    // Before pandas 3 it is a setting.
    let pandas = block.py().import("pandas")?;
    let version = pandas.getattr("__version__")?.extract::<String>()?;
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    let is_on = match major {
        Some(3u32..) => true,
        _ => {
            let mode = pandas.getattr("options")?.getattr("mode")?;
            // It may be a word that asks for warnings only.
            mode.getattr("copy_on_write")?.extract().unwrap_or(false)
        }
    };
    let is_shared = users.call_method0("has_reference")?.extract::<bool>()?;
    Ok(Some(is_on && is_shared))
}

/// The index of a Series or DataFrame, unless it is a range, which takes no memory.
fn own_index<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<ExportedBuffer<'py>>> {
    let labels = object.getattr("index")?;
    if is_range(&labels)? {
        return Ok(Vec::new());
    }
    index(&labels, ".index")
}

fn is_range(index: &Bound<'_, PyAny>) -> PyResult<bool> {
    index.hasattr("_range")
}

fn index<'py>(object: &Bound<'py, PyAny>, part: &str) -> PyResult<Vec<ExportedBuffer<'py>>> {
    if is_range(object)? {
        let reason = "RangeIndex has no memory: it is a start, a stop and a step";
        return Ok(vec![ExportedBuffer::nothing(part, reason)]);
    }
    if !object.hasattr("levels")? {
        return held(&object.getattr("_data")?, part);
    }
    let mut found = Vec::new();
    for (field, level) in [("codes", false), ("levels", true)] {
        for (number, one) in object.getattr(field)?.try_iter()?.enumerate() {
            let (one, part) = (one?, format!("{part}.{field}[{number}]"));
            found.extend(match level {
                true => index(&one, &part)?,
                false => held(&one, &part)?,
            });
        }
    }
    Ok(found)
}

/// The names of the columns that a block holds, such as `[a, b, +3]`.
fn columns(block: &Bound<'_, PyAny>, labels: &[Bound<'_, PyAny>]) -> PyResult<String> {
    const LISTED: usize = 2;
    let places: Vec<usize> = block
        .getattr("mgr_locs")?
        .try_iter()?
        .map(|place| place?.extract())
        .collect::<PyResult<_>>()?;
    // A label may be any object; only text is its own text.
    let name = |place: &usize| match labels.get(*place).map(|label| label.cast::<PyString>()) {
        Some(Ok(label)) => label.to_string_lossy().into_owned(),
        _ => format!("column {place}"),
    };
    let mut names: Vec<String> = places.iter().take(LISTED).map(name).collect();
    if places.len() > LISTED {
        names.push(format!("+{}", places.len() - LISTED));
    }
    Ok(format!("[{}]", names.join(", ")))
}

/// The array that a block is, or the arrays that pandas' own kinds of array are made of.
fn held<'py>(values: &Bound<'py, PyAny>, part: &str) -> PyResult<Vec<ExportedBuffer<'py>>> {
    /// The fields of pandas' arrays, and what to write behind the name.
    const FIELDS: [(&str, &str); 8] = [
        ("_ndarray", ""),
        ("_data", ""),
        ("_pa_array", ""),
        ("_mask", ".mask"),
        ("_left", ".left"),
        ("_right", ".right"),
        ("_sparse_values", ".values"),
        ("_values", ""),
    ];
    if let Some(buffer) = array(values)? {
        return Ok(vec![ExportedBuffer::new(part, buffer)]);
    }
    let mut found: Vec<ExportedBuffer<'_>> = Vec::new();
    for (field, suffix) in FIELDS {
        // A Categorical's `_values` is the array itself.
        let Some(value) = values.getattr_opt(field)?.filter(|value| !value.is(values)) else {
            continue;
        };
        let part = format!("{part}{suffix}");
        if let Some(buffer) = array(&value)? {
            found.push(ExportedBuffer::new(part, buffer));
        } else if let Some(parts) = arrow::parts(&value)? {
            found.extend(parts.into_iter().map(|one| one.below(&part)));
        } else if matches!(field, "_left" | "_right") {
            found.extend(index(&value, &part)?);
        }
    }
    if let Some(place) = values.getattr_opt("_sparse_index")? {
        // Where the values are: each by its number, or runs of them.
        for field in ["indices", "blocs", "blengths"] {
            let numbers = place.getattr_opt(field)?.map(|numbers| array(&numbers));
            let numbers = numbers.transpose()?.flatten();
            found.extend(
                numbers.map(|numbers| ExportedBuffer::new(format!("{part}.{field}"), numbers)),
            );
        }
    }
    if let Some(categories) = values.getattr_opt("categories")?
        && !is_range(&categories)?
    {
        found.extend(index(&categories, &format!("{part}.categories"))?);
    }
    if found.is_empty() {
        let reason = format!("{} shows no array of its own", type_name(values));
        found.push(ExportedBuffer::nothing(part, reason));
    }
    Ok(found)
}
