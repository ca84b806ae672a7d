//! The element that a user names: where it lies, and how its bytes are read.

use diaphane_sight::proc::spans;
use diaphane_sight::proc::spans::Layout;
use diaphane_trace::watchpoints::WatchedSpot;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::error::Error;
use crate::magic::User;
use crate::memory::buffers::{self, Buffer};
use crate::memory::paths::{last_subscript, named};
use crate::python::objects::type_name;
use diaphane_cpython::modules::imported;

const ASKED: &str = "%%watch_buffer";
/// The processor compares so many bytes at once.
const WIDEST: usize = 8;

/// A part of an array that is watched.
pub(super) struct Element {
    /// How the user calls it, and a part of it.
    pub name: String,
    /// What the user wrote.
    asked: String,
    /// Its bytes.
    pub spot: WatchedSpot,
    /// The kind of number; NumPy's word, or a format of the `struct` module.
    pub dtype: String,
}

/// The element of a name, and the object whose memory it is; a complex one is two numbers.
pub(super) fn of<'py>(
    name: &str,
    length: Option<usize>,
    user: User<'_, 'py>,
) -> Result<(Vec<Element>, Bound<'py, PyAny>), Error> {
    let subscript = last_subscript(name, user)?;
    let (base, key) = match &subscript {
        Some((base, key)) => (base.as_str(), Some(key)),
        None => (name, None),
    };
    let object = named(ASKED, base, user)?;
    let buffer = whole(base, key, &object)?;
    let address = address(name, &buffer.layout, key)?;
    let owner = buffer.owner().clone();
    let asked = name.to_owned();
    let one =
        |name: String, address: usize, length: usize, dtype: &str| -> Result<Element, Error> {
            is_watchable(&name, address, length)?;
            Ok(Element {
                name,
                asked: asked.clone(),
                spot: WatchedSpot { address, length },
                dtype: dtype.to_owned(),
            })
        };
    if let Some(length) = length {
        let bytes = format!("u{length}");
        return Ok((vec![one(name.to_owned(), address, length, &bytes)?], owner));
    }
    let item = buffer.layout.item;
    let half = match buffer.dtype.as_str() {
        "complex128" => "float64",
        "complex64" if !address.is_multiple_of(8) => "float32",
        _ => {
            return Ok((
                vec![one(name.to_owned(), address, item, &buffer.dtype)?],
                owner,
            ));
        }
    };
    let parts = vec![
        one(format!("{name}.real"), address, item / 2, half)?,
        one(format!("{name}.imag"), address + item / 2, item / 2, half)?,
    ];
    Ok((parts, owner))
}

/// The elements that stand in the words of a line: brackets may have blanks in them, and commas may stand between.
pub(super) fn names(words: &[String]) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let (mut name, mut depth) = (String::new(), 0_usize);
    for letter in words.join(" ").chars() {
        match letter {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (letter == ',' || letter.is_whitespace()) {
            names.push(std::mem::take(&mut name));
        } else {
            name.push(letter);
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    match (depth, names.last()) {
        (0, _) => Ok(names),
        (_, last) => Err(Error::Usage(format!(
            "{ASKED}: a bracket is open in {:?}",
            last.map_or("", String::as_str)
        ))),
    }
}

/// The one buffer of an object.
fn whole<'py>(
    base: &str,
    key: Option<&Bound<'py, PyAny>>,
    object: &Bound<'py, PyAny>,
) -> Result<Buffer<'py>, Error> {
    let kind = type_name(object);
    if let Some(instead) = of_pandas(base, key, object)? {
        return Err(Error::Usage(format!(
            "{ASKED}: {base} is a {kind} of pandas, which finds elements in its own way; {instead}"
        )));
    }
    let mut found = buffers::of(object, true);
    match found.len() {
        1 if found[0].part.is_empty() => found
            .swap_remove(0)
            .buffer
            .map_err(|why| Error::Usage(format!("{ASKED}: {base} shows no memory: {why}"))),
        0 => Err(Error::Usage(format!(
            "{ASKED}: {base} is a {kind}, which exports no memory; name an element of an array or of a buffer, such as a[0]"
        ))),
        many => Err(Error::Usage(format!(
            "{ASKED}: {base} is a {kind} of {many} buffers; name an element of one: %buffer_addr {base} lists them"
        ))),
    }
}

/// What to write instead of an object of pandas; nothing for another object.
fn of_pandas(
    base: &str,
    key: Option<&Bound<'_, PyAny>>,
    object: &Bound<'_, PyAny>,
) -> PyResult<Option<String>> {
    let module = object.get_type().module()?;
    let module = module.to_string_lossy();
    if module != "pandas" && !module.starts_with("pandas.") {
        return Ok(None);
    }
    let index = key.and_then(|key| key.extract::<usize>().ok()).unwrap_or(0);
    let is_array = |values: &Bound<'_, PyAny>| matches!(buffers::array(values), Ok(Some(_)));
    let of = |name: &str, object: &Bound<'_, PyAny>| match type_name(object).as_str() {
        "DataFrame" => Some(format!(
            "name an element of a column's array: {name}['column'].values[{index}]"
        )),
        _ => object
            .getattr("values")
            .ok()
            .filter(is_array)
            .map(|_| format!("name an element of its array: {name}.values[{index}]")),
    };
    let behind = object.getattr("obj").ok();
    let found = match (&behind, base.rsplit_once('.')) {
        // What `.iloc` and its like give stands for the object before them.
        (Some(behind), Some((before, _))) => of(before, behind),
        _ => of(base, object),
    };
    Ok(Some(found.unwrap_or_else(|| {
        format!("its memory is not NumPy's, and what is there never changes in place: %buffer_addr {base} lists it")
    })))
}

/// Where an element lies.
fn address(name: &str, layout: &Layout, key: Option<&Bound<'_, PyAny>>) -> Result<usize, Error> {
    let Some(key) = key else {
        return match layout.shape.iter().product::<usize>() {
            1 => Ok(layout.address),
            count => Err(Error::Usage(format!(
                "{ASKED}: {name} has {count} items, and the processor watches single ones: name one, such as {name}[{}]",
                vec!["0"; layout.shape.len().max(1)].join(", ")
            ))),
        };
    };
    let index = indexes(key).ok_or_else(|| {
        Error::Usage(format!(
            "{ASKED}: {name} has to be one element, with a whole number for each axis in the brackets; four can be \
             watched at once, each as a NAME"
        ))
    })?;
    if index.len() != layout.shape.len() {
        return Err(Error::Usage(format!(
            "{ASKED}: {name} has {} in the brackets for an array of {} axes; one element needs one for each",
            index.len(),
            layout.shape.len()
        )));
    }
    let mut address = layout.address.cast_signed();
    for (axis, (&at, (&count, &stride))) in index
        .iter()
        .zip(layout.shape.iter().zip(&layout.strides))
        .enumerate()
    {
        let length = count.cast_signed();
        let place = if at < 0 {
            at.saturating_add(length)
        } else {
            at
        };
        if !(0..length).contains(&place) {
            return Err(Error::Usage(format!(
                "{ASKED}: {name}: {at} is out of bounds for axis {axis}, which has {count} items"
            )));
        }
        address += place * stride;
    }
    Ok(address.cast_unsigned())
}

/// The whole numbers in the brackets.
fn indexes(key: &Bound<'_, PyAny>) -> Option<Vec<isize>> {
    match key.cast::<PyTuple>() {
        Ok(all) => all.iter().map(|one| one.extract().ok()).collect(),
        Err(_) => Some(vec![key.extract().ok()?]),
    }
}

fn is_watchable(name: &str, address: usize, length: usize) -> Result<(), Error> {
    if !matches!(length, 1 | 2 | 4 | WIDEST) {
        return Err(Error::Usage(format!(
            "{ASKED}: {name} has {length} bytes, and the processor watches 1, 2, 4 or {WIDEST}: --len {WIDEST} watches the \
             first {WIDEST}"
        )));
    }
    if !address.is_multiple_of(length) {
        let fits = 1 << address.trailing_zeros();
        return Err(Error::Usage(format!(
            "{ASKED}: {name} has {length} bytes and lies at {address:#x}, which is no multiple of that, as the processor \
             needs: --len {fits} watches the first {fits}"
        )));
    }
    Ok(())
}

impl Element {
    /// Its bytes as they are now, in the low end of the number.
    pub fn now(&self) -> u64 {
        let mut bytes = [0; WIDEST];
        let into = &mut bytes[..self.spot.length];
        let _unreadable_is_zero = spans::read(self.spot.address, into);
        u64::from_ne_bytes(bytes)
    }

    /// Its value where its name leads to other memory by now.
    pub fn elsewhere(&self, user: User<'_, '_>) -> Option<String> {
        let length = self
            .dtype
            .strip_prefix('u')
            .and_then(|length| length.parse().ok());
        let (found, _) = of(&self.asked, length, user).ok()?;
        let named = found.into_iter().find(|one| one.name == self.name)?;
        (named.spot != self.spot).then(|| named.text(named.now(), user.py))
    }

    /// Some bytes of it as Python writes the number; in hexadecimal where nobody knows how.
    pub fn text(&self, bits: u64, py: Python<'_>) -> String {
        if self.dtype == "object" {
            return format!("the object at {bits:#x}");
        }
        let bytes = bits.to_ne_bytes();
        let bytes = &bytes[..self.spot.length];
        self.python_text(bytes, py)
            .unwrap_or_else(|_| format!("{bits:#x}"))
    }

    fn python_text(&self, bytes: &[u8], py: Python<'_>) -> PyResult<String> {
        let bytes = PyBytes::new(py, bytes);
        let value = match imported(py, "numpy")? {
            Some(numpy) => {
                let items = numpy.call_method1("frombuffer", (&bytes, self.dtype.as_str()))?;
                items.get_item(0)?
            }
            None => {
                let memory = py
                    .import("builtins")?
                    .getattr("memoryview")?
                    .call1((&bytes,))?;
                memory.call_method1("cast", (self.format(),))?.get_item(0)?
            }
        };
        Ok(value.str()?.to_string_lossy().into_owned())
    }

    /// A format of the `struct` module.
    fn format(&self) -> &str {
        match self.dtype.as_str() {
            "u1" => "B",
            "u2" => "H",
            "u4" => "I",
            "u8" => "Q",
            format => format,
        }
    }
}
