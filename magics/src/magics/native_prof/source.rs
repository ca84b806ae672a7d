//! What stands on the lines of cells that took time: their text, the loops around them, and what these loops go over.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyString};

use super::sampled::Spot;
use crate::magic::User;
use crate::python::ipython::cell_of;
use crate::python::objects::type_name;
use crate::session::cell_files::cell_of_file;

/// A line of a cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceLine {
    /// The cell that it stands in, where that is another one than the cell that ran; as `In[3]`.
    pub cell: Option<String>,
    pub number: u32,
    pub text: String,
    /// Whether it stands in a loop, or is one.
    pub in_loop: bool,
    /// What it puts together with something and binds to the same name again.
    pub grows: Option<String>,
    /// Whether the loop around it goes over the groups of a frame.
    pub by_groups: bool,
    /// The arrays, Series and frames that the loop around it names, with how many values each has.
    pub over: Vec<String>,
}

impl SourceLine {
    /// As people say it.
    pub(crate) fn place(&self) -> String {
        match &self.cell {
            Some(cell) => format!("{cell}:{}", self.number),
            None => format!("line {}", self.number),
        }
    }
}

/// A loop or an assignment of a file.
struct Node<'py> {
    begin: u32,
    end: u32,
    node: Bound<'py, PyAny>,
}

/// A file of a cell.
struct Source<'py> {
    lines: Vec<String>,
    loops: Vec<Node<'py>>,
    assignments: Vec<Node<'py>>,
}

const LOOPS: &[&str] = &[
    "For",
    "AsyncFor",
    "While",
    "ListComp",
    "SetComp",
    "DictComp",
    "GeneratorExp",
];
const ASSIGNMENTS: &[&str] = &["Assign", "AugAssign"];
/// Functions that make something longer by copying all of it.
const GROWING: &[&str] = &[
    "append",
    "concat",
    "concatenate",
    "hstack",
    "vstack",
    "insert",
    "block",
];

/// Looks all lines up; without Python, which has their text, their cells and numbers only. `own` is the file of the cell
/// that ran.
pub(crate) fn lines(user: Option<User<'_, '_>>, own: &str, spots: &[Spot]) -> Vec<SourceLine> {
    let mut files: HashMap<&str, Option<Source<'_>>> = HashMap::new();
    let mut found = Vec::new();
    for spot in spots {
        let text = user.and_then(|user| {
            let source = files
                .entry(&spot.file)
                .or_insert_with(|| Source::of(user.py, &spot.file).ok());
            Some(source.as_ref()?.line(user, spot.line))
        });
        let mut line = text.unwrap_or_default();
        line.number = spot.line;
        if spot.file != own {
            let cell = cell_number(user, &spot.file);
            line.cell = Some(cell.map_or_else(|| spot.file.clone(), |cell| format!("In[{cell}]")));
        }
        found.push(line);
    }
    found
}

/// The number of the cell whose code has this file name, as IPython knows it, or as was noted for those who cannot ask.
pub(crate) fn cell_number(user: Option<User<'_, '_>>, file: &str) -> Option<u32> {
    match user {
        Some(user) => cell_of(user.py, file).ok().flatten(),
        None => cell_of_file(file),
    }
}

impl<'py> Source<'py> {
    /// The file as IPython keeps it for tracebacks. Nothing of it is run.
    fn of(py: Python<'py>, file: &str) -> PyResult<Self> {
        let lines: Vec<String> = py
            .import("linecache")?
            .call_method1("getlines", (file,))?
            .extract()?;
        let ast = py.import("ast")?;
        let mut source = Self {
            loops: Vec::new(),
            assignments: Vec::new(),
            lines,
        };
        // A cell with a magic of its own is no Python as it stands; its lines are still its text.
        let Ok(tree) = ast.call_method1("parse", (source.python(),)) else {
            return Ok(source);
        };
        for node in ast.call_method1("walk", (tree,))?.try_iter()? {
            let node = node?;
            let kind = type_name(&node);
            let into = match kind.as_str() {
                kind if LOOPS.contains(&kind) => &mut source.loops,
                kind if ASSIGNMENTS.contains(&kind) => &mut source.assignments,
                _ => continue,
            };
            into.push(Node {
                begin: node.getattr("lineno")?.extract()?,
                end: node.getattr("end_lineno")?.extract()?,
                node,
            });
        }
        Ok(source)
    }

    /// The text with the lines of magics emptied, so that the other ones keep their numbers.
    fn python(&self) -> String {
        let is_magic = |line: &str| matches!(line.trim_start().chars().next(), Some('%' | '!'));
        let line = |line: &String| {
            if is_magic(line) {
                "\n".to_owned()
            } else {
                line.clone()
            }
        };
        self.lines.iter().map(line).collect()
    }

    fn line(&self, user: User<'_, 'py>, number: u32) -> SourceLine {
        let holds = |node: &&Node<'py>| node.begin <= number && number <= node.end;
        let around = self.loops.iter().filter(holds);
        let innermost = around.max_by_key(|node| (node.begin, u32::MAX - node.end));
        let grows = self
            .assignments
            .iter()
            .filter(holds)
            .find_map(|node| grows(&node.node).ok().flatten());
        let text = self.lines.get((number as usize).wrapping_sub(1));
        SourceLine {
            text: text.map(|text| text.trim().to_owned()).unwrap_or_default(),
            in_loop: innermost.is_some(),
            by_groups: innermost.is_some_and(|node| by_groups(&node.node).unwrap_or(false)),
            grows,
            over: innermost
                .and_then(|node| over(user, &node.node).ok())
                .unwrap_or_default(),
            ..SourceLine::default()
        }
    }
}

/// The name that an assignment gives to what is put together of itself and something else.
fn grows(node: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let ast = node.py().import("ast")?;
    let value = node.getattr("value")?;
    let target = match node.getattr_opt("targets")? {
        Some(targets) => targets.get_item(0)?,
        None => node.getattr("target")?,
    };
    let written = |node: &Bound<'_, PyAny>| -> PyResult<String> {
        ast.call_method1("unparse", (node,))?.extract()
    };
    // `text += part` and `text = text + part`.
    if let Some(sign) = node.getattr_opt("op")? {
        return Ok((type_name(&sign) == "Add").then_some(written(&target)?));
    }
    if type_name(&value) == "BinOp" {
        let is_sum = type_name(&value.getattr("op")?) == "Add";
        let name = written(&target)?;
        return Ok((is_sum && written(&value.getattr("left")?)? == name).then_some(name));
    }
    if type_name(&value) != "Call" {
        return Ok(None);
    }
    let function = value.getattr("func")?;
    let name = function
        .getattr_opt("attr")?
        .or(function.getattr_opt("id")?);
    let name: Option<String> = name.and_then(|name| name.extract().ok());
    if !name.is_some_and(|name| GROWING.contains(&name.as_str())) {
        return Ok(None);
    }
    let target = written(&target)?;
    for argument in value.getattr("args")?.try_iter()? {
        for part in ast.call_method1("walk", (argument?,))?.try_iter()? {
            let part = part?;
            let is_name = ["Name", "Attribute", "Subscript"].contains(&type_name(&part).as_str());
            if is_name && written(&part)? == target {
                return Ok(Some(target));
            }
        }
    }
    Ok(None)
}

/// Whether a loop goes over what `groupby` has made.
fn by_groups(node: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Some(over) = node.getattr_opt("iter")? else {
        return Ok(false);
    };
    let text = node.py().import("ast")?.call_method1("unparse", (over,))?;
    Ok(text.extract::<String>()?.contains(".groupby("))
}

/// The arrays and tables that a loop names, as `s (Series of 1,000,000)`. Those of functions are not known any more.
fn over(user: User<'_, '_>, node: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let ast = user.py.import("ast")?;
    let mut said = Vec::new();
    let mut names = Vec::new();
    for part in ast.call_method1("walk", (node,))?.try_iter()? {
        let part = part?;
        if type_name(&part) == "Name" {
            names.push(part.getattr("id")?.extract::<String>()?);
        }
    }
    names.dedup();
    for name in names {
        let Some(value) = user.namespace.get_item(&name)? else {
            continue;
        };
        let kind = value.get_type();
        let module: String = kind
            .getattr("__module__")
            .and_then(|name| name.extract())
            .unwrap_or_default();
        let kind = kind
            .name()
            .map(|name: Bound<'_, PyString>| name.to_string_lossy().into_owned())?;
        let is_array = module == "numpy" && kind == "ndarray";
        let is_pandas = module.split('.').next() == Some("pandas")
            && ["Series", "DataFrame", "Index", "RangeIndex"].contains(&kind.as_str());
        if !is_array && !is_pandas {
            continue;
        }
        let Ok(count) = value.len() else { continue };
        let kind = if is_array { "array" } else { kind.as_str() };
        let words = format!("{name} ({kind} of {})", grouped(count));
        if !said.contains(&words) {
            said.push(words);
        }
    }
    said.truncate(3);
    Ok(said)
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(12), "12");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }

    #[test]
    fn a_place_names_the_cell_where_it_is_another_one() {
        let line = SourceLine {
            number: 4,
            ..SourceLine::default()
        };
        assert_eq!(line.place(), "line 4");
        let other = SourceLine {
            cell: Some("In[2]".into()),
            ..line
        };
        assert_eq!(other.place(), "In[2]:4");
    }
}
