//! What a user points at: an object by an expression, a symbol of a library, or an address.
//!
//! An expression is a name with attributes and subscripts, such as `np.linalg.det` or `loops[0]`. Nothing is called and
//! no operator is applied, so that asking has no effect but what attribute access has.

use std::path::Path;

use diaphane_sight::code::got_entries;
use diaphane_sight::code::symbols::{Symbol, SymbolKind, Table};
use diaphane_sight::linker::libraries::Library;
use pyo3::prelude::*;
use pyo3::types::{PyModule, PyString};

use crate::error::Error;
use crate::magic::{Context, User};
use crate::python::objects::type_name;
use diaphane_cpython::modules::imported;
use diaphane_report::spelling::did_you_mean;

/// What a user points at.
pub(crate) enum CodeTarget<'py> {
    /// An object, and how it was written.
    Object(String, Bound<'py, PyAny>),
    /// A symbol of the libraries whose names match.
    Symbol {
        /// The name of the library, in which `*` stands for any letters.
        library: String,
        /// The symbol.
        symbol: String,
    },
    /// An address.
    Address(usize),
}

impl<'py> CodeTarget<'py> {
    /// Understands what was written after the name of a magic.
    pub(crate) fn parse(
        magic: &str,
        text: &str,
        context: &Context<'_, 'py>,
    ) -> Result<Self, Error> {
        let refuse = |what: String| Error::Usage(format!("%{magic}: {text}: {what}"));
        if let Some(digits) = text.strip_prefix("0x") {
            let address = usize::from_str_radix(digits, 16);
            return address
                .map(Self::Address)
                .map_err(|_| refuse("this is no hexadecimal address".into()));
        }
        if let Some((library, symbol)) = text.split_once('!') {
            return Ok(Self::Symbol {
                library: library.to_owned(),
                symbol: symbol.to_owned(),
            });
        }
        let object = evaluate(text, context.user()?).map_err(refuse)?;
        Ok(Self::Object(text.to_owned(), object))
    }
}

/// A step from an object to a part of it.
#[derive(Debug, PartialEq, Eq)]
enum PathStep {
    Attribute(String),
    Item(String),
}

fn evaluate<'py>(text: &str, user: User<'_, 'py>) -> Result<Bound<'py, PyAny>, String> {
    let (head, steps) = split(text)?;
    let mut object = head_object(&head, user)?;
    let mut path = head;
    for step in steps {
        object = match &step {
            PathStep::Attribute(name) => object.getattr(name.as_str()),
            PathStep::Item(key) => match key.parse::<i64>() {
                Ok(index) => object.get_item(index),
                Err(_) => object.get_item(key.as_str()),
            },
        }
        .map_err(|error| missing(&path, &object, &step, &error))?;
        match step {
            PathStep::Attribute(name) => path = format!("{path}.{name}"),
            PathStep::Item(key) => path = format!("{path}[{key}]"),
        }
    }
    Ok(object)
}

/// Divides `a.b[0].c` into its first name and the steps from there.
fn split(text: &str) -> Result<(String, Vec<PathStep>), String> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (head, mut rest) = text.split_at(end);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            steps.push(PathStep::Attribute(tail[..end].to_owned()));
            rest = &tail[end..];
        } else {
            let inner = rest.strip_prefix('[').and_then(|tail| tail.split_once(']'));
            let (key, tail) = inner
                .ok_or("write a name with attributes and subscripts, such as np.add or d[0]")?;
            steps.push(PathStep::Item(key.to_owned()));
            rest = tail;
        }
    }
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let is_bad = |step: &PathStep| matches!(step, PathStep::Attribute(name) if !is_name(name));
    if (!head.is_empty() && !is_name(head))
        || steps.iter().any(is_bad)
        || (head.is_empty() && steps.is_empty())
    {
        return Err(
            "this is no name with attributes and subscripts; assign the value to a variable first"
                .into(),
        );
    }
    Ok((head.to_owned(), steps))
}

/// A variable, a builtin, or a module that was imported. The quotes of a literal vanish when the line is split, so that
/// `"".join` arrives as `.join`.
fn head_object<'py>(name: &str, user: User<'_, 'py>) -> Result<Bound<'py, PyAny>, String> {
    let py = user.py;
    if name.is_empty() {
        return Ok(PyString::new(py, "").into_any());
    }
    let plain = |_| "Python refused to look it up".to_owned();
    if let Some(object) = user.variable(name).map_err(plain)? {
        return Ok(object);
    }
    let builtins = py.import("builtins").map_err(plain)?.dict();
    if let Some(object) = builtins.get_item(name).map_err(plain)? {
        return Ok(object);
    }
    if let Some(module) = imported(py, name).map_err(plain)? {
        return Ok(module);
    }
    let mut known = user.names();
    known.extend(
        builtins
            .keys()
            .iter()
            .filter_map(|name| name.extract().ok()),
    );
    let meant = did_you_mean(name, known.iter().map(String::as_str));
    let remedy = match meant.as_str() {
        "" => "; assign or import it first",
        meant => meant,
    };
    Err(format!(
        "there is no variable, builtin or imported module {name:?}{remedy}"
    ))
}

fn missing(path: &str, object: &Bound<'_, PyAny>, step: &PathStep, error: &PyErr) -> String {
    let kind = type_name(object);
    let raised = error
        .get_type(object.py())
        .name()
        .map_or_else(|_| "an exception".into(), |name| name.to_string());
    match step {
        PathStep::Attribute(name) => {
            // Only modules can be listed without running code of the object.
            let module = object
                .cast::<PyModule>()
                .ok()
                .map(|module| module.dict().keys());
            let known: Vec<String> = module
                .iter()
                .flatten()
                .filter_map(|name| name.extract().ok())
                .collect();
            let meant = did_you_mean(name, known.iter().map(String::as_str));
            format!("{path}, of type {kind}, has no attribute {name:?} ({raised}){meant}")
        }
        PathStep::Item(key) => format!("{path}, of type {kind}, has no item {key:?} ({raised})"),
    }
}

/// The symbols of a name in the libraries that match, with the library's index.
pub(crate) fn symbols(
    magic: &str,
    pattern: &str,
    name: &str,
    libraries: &[Library],
) -> Result<Vec<(usize, Symbol)>, Error> {
    let matching: Vec<usize> = (0..libraries.len())
        .filter(|&index| matches(pattern, &libraries[index]))
        .collect();
    if matching.is_empty() {
        let names: Vec<&str> = libraries
            .iter()
            .map(|library| stem(&library.name))
            .collect();
        let meant = did_you_mean(pattern, names);
        return Err(Error::Usage(format!(
            "%{magic}: no loaded library matches {pattern:?}{meant}; %loaded_libs lists them"
        )));
    }
    let of = |index: usize| {
        let library = &libraries[index];
        Table::of(library)
            .named(library.image.bias())
            .of(name)
            .into_iter()
            .map(move |symbol| (index, symbol))
    };
    let mut found: Vec<(usize, Symbol)> = matching.iter().copied().flat_map(of).collect();
    // Versions of one function are one function.
    found.dedup_by_key(|(_, symbol)| symbol.start);
    if !found.is_empty() {
        return Ok(found);
    }
    let tables: Vec<_> = matching
        .iter()
        .map(|&index| Table::of(&libraries[index]))
        .collect();
    let tables: Vec<_> = tables.iter().map(|table| table.named(0)).collect();
    let names = tables
        .iter()
        .flat_map(|table| table.places())
        .filter(|(_, kind, ..)| *kind == SymbolKind::Function);
    // Comparing with every name takes too long where the table is very large.
    let meant = did_you_mean(
        name,
        names
            .map(|(name, ..)| name)
            .filter(|other| other.len().abs_diff(name.len()) < 3),
    );
    let library = &libraries[matching[0]].name;
    Err(Error::Usage(format!(
        "%{magic}: {library} has no symbol {name:?}{meant}"
    )))
}

/// The implementations that libraries are bound to, if a symbol stands for several: each with the libraries.
pub(crate) fn implementations<'a>(
    index: usize,
    symbol: &Symbol,
    libraries: &'a [Library],
) -> Vec<(usize, Vec<&'a str>)> {
    if got_entries::is_indirect(&symbol.name, &libraries[index]) {
        got_entries::bound(&symbol.name, &libraries[index], libraries)
    } else {
        Vec::new()
    }
}

/// Whether a pattern with `*` names a library, by its file name with or without what follows `.so`.
fn matches(pattern: &str, library: &Library) -> bool {
    glob(pattern, &library.name)
        || glob(pattern, stem(&library.name))
        || library.path.as_deref() == Some(pattern)
}

/// The file name up to its first point.
fn stem(name: &str) -> &str {
    let file = Path::new(name)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(name);
    file.split('.').next().unwrap_or(file)
}

/// Whether a text matches a pattern in which `*` stands for any letters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    last.map_or(rest.is_empty(), |last| text.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_names_attributes_and_subscripts() {
        let attribute = |name: &str| PathStep::Attribute(name.into());
        let item = |key: &str| PathStep::Item(key.into());
        assert_eq!(split("len"), Ok(("len".into(), vec![])));
        assert_eq!(split("np.add"), Ok(("np".into(), vec![attribute("add")])));
        assert_eq!(
            split("d[a.b][0].f"),
            Ok(("d".into(), vec![item("a.b"), item("0"), attribute("f")]))
        );
        assert_eq!(split(".join"), Ok((String::new(), vec![attribute("join")])));
        for bad in ["", "f(x)", "a+b", "a.", "a[0", "a..b", "a]"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stars_stand_for_letters() {
        for (pattern, text) in [
            ("libc", "libc"),
            ("libc*", "libc.so.6"),
            ("*blas*", "libscipy_openblas64_-fd"),
            ("*", ""),
            ("a*b", "axbxb"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("libc", "libc.so.6"),
            ("*c", "libx"),
            ("a*b", "ax"),
            ("", "a"),
            ("*a*", "xyz"),
        ] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }
}
