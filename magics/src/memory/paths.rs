//! What a user names on the line of a magic: a variable, or what attributes and subscripts lead to from one.

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::Error;
use crate::magic::User;
use crate::memory::buffers;
use crate::python::objects::type_name;
use diaphane_report::spelling::did_you_mean;

/// A variable, or what attributes and subscripts lead to from one.
pub(crate) fn named<'py>(
    magic: &str,
    name: &str,
    user: User<'_, 'py>,
) -> Result<Bound<'py, PyAny>, Error> {
    if let Some(object) = user.variable(name)? {
        return Ok(object);
    }
    let Some(first) = path(name, user)? else {
        // Arguments are divided by spaces.
        let remedy = match name {
            _ if name.trim_matches(',') != name => {
                "write names with spaces between them and no comma"
            }
            _ if name.matches('[').count() != name.matches(']').count() => {
                "write a subscript without spaces"
            }
            _ => "assign it to a variable first",
        };
        return Err(Error::Usage(format!(
            "{magic}: {name:?} is no name; {remedy}"
        )));
    };
    if user.variable(&first)?.is_none() {
        let known = user.names();
        let meant = did_you_mean(&first, known.iter().map(String::as_str));
        return Err(Error::Usage(format!(
            "{magic}: there is no variable {first:?}{meant}"
        )));
    }
    let eval = user.py.import("builtins")?.getattr("eval")?;
    let value = eval.call1((name, user.namespace, user.locals));
    value.map_err(|error| {
        let why = buffers::words(user.py, &error);
        Error::Usage(format!("{magic}: {name:?} leads nowhere: {why}"))
    })
}

/// The variable that a path such as `d['x'][3].w` begins with; `None` if the text is anything else.
fn path(text: &str, user: User<'_, '_>) -> Result<Option<String>, Error> {
    /// What may stand in brackets.
    const PARTS: [&str; 11] = [
        "Constant", "UnaryOp", "USub", "Tuple", "Slice", "Load", "Name", "BinOp", "Add", "Sub",
        "Mult",
    ];
    let ast = user.py.import("ast")?;
    let Ok(tree) = ast.call_method1("parse", (text, "<magic>", "eval")) else {
        return Ok(None);
    };
    let mut node = tree.getattr("body")?;
    loop {
        match type_name(&node).as_str() {
            "Name" => return Ok(Some(node.getattr("id")?.extract()?)),
            "Attribute" => {}
            "Subscript" => {
                for part in ast
                    .call_method1("walk", (node.getattr("slice")?,))?
                    .try_iter()?
                {
                    if !PARTS.contains(&type_name(&part?).as_str()) {
                        return Ok(None);
                    }
                }
            }
            _ => return Ok(None),
        }
        node = node.getattr("value")?;
    }
}

/// The text of what a path subscripts last, and what stands in these brackets: `d['x'][3]` is `d['x']` and 3. `None` if it
/// ends in no brackets.
pub(crate) fn last_subscript<'py>(
    text: &str,
    user: User<'_, 'py>,
) -> Result<Option<(String, Bound<'py, PyAny>)>, Error> {
    if path(text, user)?.is_none() {
        return Ok(None);
    }
    let ast = user.py.import("ast")?;
    let node = ast
        .call_method1("parse", (text, "<magic>", "eval"))?
        .getattr("body")?;
    if type_name(&node) != "Subscript" {
        return Ok(None);
    }
    let write = |part: &str| ast.call_method1("unparse", (node.getattr(part)?,));
    let object = write("value")?
        .cast_into::<PyString>()
        .map_err(PyErr::from)?;
    let builtins = user.py.import("builtins")?;
    let slice = write("slice")?;
    let key = match builtins.call_method1("eval", (&slice, user.namespace, user.locals)) {
        Ok(key) => key,
        // A slice is no expression of its own, and a name may be nobody's.
        Err(_) => slice,
    };
    Ok(Some((object.to_string_lossy().into_owned(), key)))
}
