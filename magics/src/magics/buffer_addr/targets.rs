//! Which objects are looked at: the named ones, the user's variables, or with `--all` what these hold.

use std::collections::HashMap;

use pyo3::prelude::*;

use super::{BufferAddr, BufferAddrArgs};
use crate::error::Error;
use crate::magic::{Magic, User};
use crate::memory::buffers::ExportedBuffer;
use crate::memory::object_graph::{Root, roots};
use crate::memory::paths::named;
use crate::memory::{buffers, object_graph};
use crate::python::objects::{references, type_name};

/// An object to ask for its memory.
pub(super) struct BufferTarget<'py> {
    /// How the user reaches it.
    pub name: String,
    /// The object.
    pub object: Bound<'py, PyAny>,
    /// The references to it, besides those of this report.
    pub refs: isize,
    /// The memory that it exports.
    pub found: Vec<ExportedBuffer<'py>>,
}

/// The objects of a line, and what could not be looked at.
pub(super) fn of<'py>(
    args: &BufferAddrArgs,
    user: User<'_, 'py>,
) -> Result<(Vec<BufferTarget<'py>>, Option<String>), Error> {
    let is_named = !args.names.is_empty();
    let (mut objects, unknown) = match is_named {
        true => known(&args.names, user)?,
        false => (roots::visible(user), None),
    };
    if !args.all {
        let (targets, limit) = asked(objects, user, is_named)?;
        return Ok((targets, unknown.or(limit)));
    }
    if !is_named {
        objects.extend(roots::kept_by_python(user)?);
    }
    let (objects, limit) = inside(user, objects)?;
    let mut targets = counted(objects, user);
    for target in &mut targets {
        target.found = buffers::of(&target.object, is_named);
    }
    Ok((targets, unknown.or(limit)))
}

/// The objects of names, each once, and why others have none: where one is known at least, its answer is given.
fn known<'py>(
    names: &[String],
    user: User<'_, 'py>,
) -> Result<(Vec<Root<'py>>, Option<String>), Error> {
    let shown = BufferAddr::FORM.write(BufferAddr::NAME);
    let (mut objects, mut refused) = (Vec::<Root<'py>>::new(), Vec::new());
    for name in names {
        match named(&shown, name, user) {
            Ok(_) if objects.iter().any(|(known, _)| known == name) => {}
            Ok(object) => objects.push((name.clone(), object)),
            Err(Error::Usage(why)) => refused.push(why),
            Err(error) => return Err(error),
        }
    }
    match (objects.is_empty(), refused.is_empty()) {
        (true, _) => Err(Error::Usage(refused.join("; "))),
        (false, true) => Ok((objects, None)),
        (false, false) => Ok((objects, Some(refused.join("; ")))),
    }
}

/// Objects with the memory that they export. One that the user named, and that exports none, is opened.
fn asked<'py>(
    objects: Vec<Root<'py>>,
    user: User<'_, 'py>,
    is_named: bool,
) -> PyResult<(Vec<BufferTarget<'py>>, Option<String>)> {
    let mut targets = Vec::new();
    let mut limit = None;
    for mut target in counted(objects, user) {
        target.found = buffers::of(&target.object, is_named);
        if is_named && target.found.is_empty() {
            let before = targets.len();
            let root = vec![(target.name.clone(), target.object.clone())];
            let (held, is_cut) = inside(user, root)?;
            limit = limit.or(is_cut);
            for mut one in counted(held, user) {
                one.found = buffers::of(&one.object, false);
                targets.push(one);
            }
            if targets.len() == before {
                target
                    .found
                    .push(ExportedBuffer::nothing("", nothing(&target.object)));
                targets.push(target);
            }
        } else {
            targets.push(target);
        }
    }
    Ok((targets, limit))
}

fn nothing(object: &Bound<'_, PyAny>) -> String {
    let kind = type_name(object);
    format!("{kind} exports no memory; arrays, bytes and other buffers do")
}

/// The objects with their references; the count is taken of each before any of them is given away.
fn counted<'py>(objects: Vec<Root<'py>>, user: User<'_, 'py>) -> Vec<BufferTarget<'py>> {
    let mut held = HashMap::new();
    // The dict of a function's variables was made for the magic.
    for (_, object) in user.locals.into_iter().flat_map(PyDictMethods::iter) {
        *held.entry(object.as_ptr()).or_insert(0) += 1;
    }
    for (_, object) in &objects {
        *held.entry(object.as_ptr()).or_insert(0) += 1;
    }
    let target = |(name, object): Root<'py>| BufferTarget {
        refs: references(&object) - held.get(&object.as_ptr()).copied().unwrap_or(0),
        name,
        object,
        found: Vec::new(),
    };
    objects.into_iter().map(target).collect()
}

/// What exports memory inside some objects.
fn inside<'py>(
    user: User<'_, 'py>,
    roots: Vec<Root<'py>>,
) -> PyResult<(Vec<Root<'py>>, Option<String>)> {
    let traversal = object_graph::from(user.py, user.namespace.as_any(), &roots)?;
    let found = traversal.found.into_iter();
    let found = found.map(|reached| (reached.name, reached.object));
    let limit = traversal
        .is_cut
        .then(|| "there are too many objects to look into all of them".to_owned());
    Ok((found.collect(), limit))
}
