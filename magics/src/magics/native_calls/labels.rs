//! What the nodes of a tree are called.

use std::rc::Rc;

use super::code::Part;
use super::rows::Writer;
use super::tree::NodeKind;
use crate::error::Error;
use crate::python::ipython::source_line;

/// What a node is called.
pub(super) struct Label {
    pub func: String,
    pub lib: Option<String>,
    pub via: &'static str,
    pub place: Option<String>,
    pub part: Part,
}

impl Writer<'_, '_> {
    /// What nodes of a kind are called.
    pub(super) fn label(&mut self, kind: NodeKind) -> Result<Rc<Label>, Error> {
        if let Some(known) = self.labels.get(&kind) {
            return Ok(Rc::clone(known));
        }
        let label = Rc::new(self.find_label(kind)?);
        self.labels.insert(kind, Rc::clone(&label));
        Ok(label)
    }

    fn find_label(&mut self, kind: NodeKind) -> Result<Label, Error> {
        let py = self.user.py;
        let known = &self.recorded.known;
        let python = |func: String, via, place| Label {
            func,
            lib: Some("Python".into()),
            via,
            place,
            part: Part::Python,
        };
        Ok(match kind {
            NodeKind::Report => python("Python's reports".into(), "python", None),
            NodeKind::Cell => python("the cell".into(), "python", None),
            NodeKind::Display => python("show the last value".into(), "python", None),
            NodeKind::Python(_) if self.recorded.is_import(kind) => Label {
                part: Part::Imports,
                ..python("imports".into(), "python", None)
            },
            NodeKind::Python(number) => {
                // A child that leaves its parent's cell has events whose code the parent alone knows.
                let Some(code) = known.codes.get(number) else {
                    return Ok(python("unknown Python code".into(), "python", None));
                };
                let (place, _) = source_line(py, &code.file, code.line)?;
                python(code.function.clone(), "python", Some(short_path(&place)))
            }
            NodeKind::Place(instruction) => self.label_of_place(instruction)?,
            NodeKind::Callable(number) => {
                let Some(callable) = known.callables.get(number) else {
                    return Ok(self.native("unknown callable".to_owned(), None, "c call"));
                };
                let function = callable.code.and_then(|code| self.codes.at(code).cloned());
                let library = function.and_then(|function| function.library);
                let name = callable.name.replace("._core._multiarray_umath", "");
                let label = self.native(name, library, "c call");
                match library {
                    Some(_) => label,
                    None => Label {
                        part: Part::Python,
                        ..label
                    },
                }
            }
            NodeKind::Native(address) | NodeKind::Caller(address) => {
                let function = self.codes.at(address).cloned();
                let (name, library) = match function {
                    Some(function) => (function.name, function.library),
                    None => (format!("{address:#x}"), None),
                };
                let via = match kind {
                    NodeKind::Caller(_) => "caller",
                    _ if self.recorded.is_loop(address) => "ufunc loop",
                    _ => "call",
                };
                self.native(name, library, via)
            }
        })
    }

    fn native(&self, func: String, library: Option<usize>, via: &'static str) -> Label {
        Label {
            func,
            lib: library.map(|library| self.codes.short(library)),
            via,
            place: None,
            part: self.codes.part(library),
        }
    }

    fn label_of_place(&self, instruction: usize) -> Result<Label, Error> {
        let site = self.places.at(instruction);
        let (func, place) = match site {
            None => ("Python's own work".to_owned(), None),
            Some(site) => {
                let code = self.recorded.known.codes.get(site.code);
                let place = match code.zip(site.line) {
                    Some((code, line)) => {
                        Some(short_path(&source_line(self.user.py, &code.file, line)?.0))
                    }
                    None => None,
                };
                let words = site.text.or(site.operator).unwrap_or(site.operation);
                (words, place)
            }
        };
        Ok(Label {
            func,
            lib: Some("Python".into()),
            via: "operator",
            place,
            part: Part::Python,
        })
    }
}

/// A path from its last folder on; cells stay as they are.
fn short_path(place: &str) -> String {
    if place.starts_with("In[") {
        return place.to_owned();
    }
    let mut parts = place.rsplitn(3, '/');
    let (file, folder) = (parts.next().unwrap_or(place), parts.next());
    match folder {
        Some(folder) if !folder.is_empty() => format!("{folder}/{file}"),
        _ => file.to_owned(),
    }
}
