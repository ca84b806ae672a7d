//! The text of a cell around a line where a thread waits: what it waits for, and which locks it has taken before.

use pyo3::prelude::*;

use crate::python::objects::type_name;

/// A line of a cell, and the locks that are named around it.
#[derive(Debug, Default, Clone)]
pub(crate) struct LockedLine {
    pub text: String,
    /// The lock that the line takes, as it is written.
    pub takes: Option<String>,
    /// Those that were taken around it.
    pub holds: Vec<String>,
}

/// The text of a line, as tracebacks show it.
pub(crate) fn line_text(py: Python<'_>, file: &str, line: u32) -> Option<String> {
    let linecache = py.import("linecache").ok()?;
    let text: String = linecache
        .call_method1("getline", (file, line))
        .ok()?
        .extract()
        .ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What is known of a line by the text. Nothing of it is run.
pub(crate) fn locked_line(py: Python<'_>, file: &str, line: u32) -> Option<LockedLine> {
    let mut found = LockedLine {
        text: line_text(py, file, line)?,
        ..LockedLine::default()
    };
    // Without a tree the text alone is told.
    let _ = found.read(py, file, line);
    Some(found)
}

impl LockedLine {
    fn read(&mut self, py: Python<'_>, file: &str, line: u32) -> PyResult<()> {
        let source: Vec<String> = py
            .import("linecache")?
            .call_method1("getlines", (file,))?
            .extract()?;
        let ast = py.import("ast")?;
        let tree = ast.call_method1("parse", (source.concat(),))?;
        let mut calls = Vec::new();
        let mut function = 0;
        for node in ast.call_method1("walk", (tree,))?.try_iter()? {
            let node = node?;
            let number = |name: &str| {
                node.getattr(name)
                    .and_then(|number| number.extract::<u32>())
            };
            match type_name(&node).as_str() {
                "With" | "AsyncWith"
                    if number("lineno")? <= line && line <= number("end_lineno")? =>
                {
                    for item in node.getattr("items")?.try_iter()? {
                        let lock = item?.getattr("context_expr")?;
                        let at: u32 = lock.getattr("lineno")?.extract()?;
                        let name = written(&lock)?;
                        if at == line {
                            self.takes = Some(name);
                        } else if at < line {
                            self.holds.push(name);
                        }
                    }
                }
                "FunctionDef" | "AsyncFunctionDef"
                    if number("lineno")? <= line && line <= number("end_lineno")? =>
                {
                    function = function.max(number("lineno")?);
                }
                "Call" if number("lineno")? <= line => calls.extend(lock_call(&node)?),
                _ => {}
            }
        }
        calls.sort_unstable();
        for (at, acquires, lock) in calls.into_iter().filter(|(at, ..)| *at >= function) {
            match acquires {
                true if at == line => self.takes = Some(lock),
                true => self.holds.push(lock),
                false => self.holds.retain(|held| *held != lock),
            }
        }
        Ok(())
    }
}

/// The text of a piece of a tree.
fn written(node: &Bound<'_, PyAny>) -> PyResult<String> {
    let ast = node.py().import("ast")?;
    ast.call_method1("unparse", (node,))?.extract()
}

/// The line of a call of `acquire` or `release`, whether it is the former, and what it is called on.
fn lock_call(node: &Bound<'_, PyAny>) -> PyResult<Option<(u32, bool, String)>> {
    let called = node.getattr("func")?;
    let name = called.getattr_opt("attr")?;
    let name: Option<String> = name.and_then(|name| name.extract().ok());
    let acquires = match name.as_deref() {
        Some("acquire") => true,
        Some("release") => false,
        _ => return Ok(None),
    };
    let line = node.getattr("lineno")?.extract()?;
    Ok(Some((line, acquires, written(&called.getattr("value")?)?)))
}
