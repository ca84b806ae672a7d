//! `%buffer_addr`: where the memory of variables lies, whose it is, and which variables share it.
//!
//! Addresses come from NumPy's structure or the buffer protocol, mappings from the kernel, and whether two strided
//! buffers share a byte from NumPy's own solver.

mod findings;
mod overlap;

use std::collections::HashMap;

use diaphane_sight::maps::{Kind, Maps};
use diaphane_sight::spans::{self, Layout, Span};
use pyo3::prelude::*;
use pyo3::types::PyString;
use serde::Serialize;
use serde_json::json;

use crate::args::did_you_mean;
use crate::buffers::{self, Buffer};
use crate::report::{Address, Column, Report, Show, fields, rows};
use crate::view::bytes;
use crate::{Context, Error, Magic, User};

/// Show where the memory of variables lies, whose it is, and who shares it.
///
/// Understands NumPy arrays, pandas Series and DataFrames, and everything with the buffer protocol (bytes, bytearray,
/// memoryview, array.array, mmap) or `__array_interface__`. Without a NAME all variables that lend memory are listed.
/// Flags: C and F contiguous in C and Fortran order, W writeable, A64 at a multiple of 64 bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Variables to look at
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

const COLUMNS: &[Column] = &[
    Column::new("name", Show::Text, 0).at_least(16),
    Column::new("error", Show::Text, 1).at_least(60).optional(),
    Column::new("type", Show::Text, 6).optional(),
    Column::new("dtype", Show::Text, 5).optional(),
    Column::new("shape", Show::Tuple, 3).optional(),
    Column::new("strides", Show::Tuple, 8).optional(),
    Column::new("addr", Show::Address, 1).optional(),
    Column::new("end", Show::Address, 10).optional(),
    Column::new("nbytes", Show::Bytes, 1)
        .titled("size")
        .optional(),
    Column::new("owner", Show::Text, 2).optional(),
    Column::new("offset", Show::Number, 4).optional(),
    Column::new("flags", Show::List, 7).optional(),
    Column::new("mapping", Show::Path, 9).optional(),
    Column::new("shares_with", Show::List, 2)
        .titled("shares with")
        .optional(),
    Column::new("owner_type", Show::Text, 11)
        .titled("owner type")
        .optional(),
];

#[derive(Serialize, Default)]
struct Row<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    dtype: Option<&'a str>,
    shape: Option<&'a [usize]>,
    strides: Option<&'a [isize]>,
    addr: Option<Address>,
    end: Option<Address>,
    nbytes: Option<usize>,
    owner: Option<&'a str>,
    owner_type: Option<&'a str>,
    offset: Option<isize>,
    flags: Option<Vec<&'static str>>,
    mapping: Option<&'a str>,
    shares_with: Option<Vec<&'a str>>,
    error: Option<&'a str>,
}

/// One line of the report before it is written.
struct Listed<'py> {
    name: String,
    buffer: Result<Buffer<'py>, String>,
    owner: Owner,
    mapping: Option<String>,
    shares_with: Vec<usize>,
}

/// Whose memory it is.
#[derive(Default)]
struct Owner {
    /// Its variable, if it has one.
    name: Option<String>,
    kind: String,
    /// Which object it is.
    id: usize,
    /// Its memory, if it lends it.
    span: Option<Span>,
    /// Whether the listed object is the owner.
    is_self: bool,
}

impl Listed<'_> {
    /// The layout of a buffer that was found.
    fn layout(&self) -> Option<&Layout> {
        self.buffer.as_ref().ok().map(|buffer| &buffer.layout)
    }
}

/// The magic.
pub(crate) struct BufferAddr;

impl Magic for BufferAddr {
    const NAME: &'static str = "buffer_addr";
    type Args = Args;

    fn run(args: &Args, context: &Context<'_, '_>) -> Result<Report, Error> {
        let user = context.user()?;
        let maps = context.without_gil(Maps::read)?;
        let names = Names::of(user);
        let mut listed = list(args, user, &names, &maps)?;
        let limits = overlap::find(user.py, &mut listed)?;
        let sizes = Sizes::of(&listed);
        Ok(Report {
            name: Self::NAME,
            columns: COLUMNS,
            rows: rows(listed.iter().map(|one| row(one, &listed)))?,
            facts: fields(json!({
                "listed_bytes": sizes.listed,
                "distinct_bytes": sizes.distinct,
                "distinct_is_exact": sizes.exact,
            }))?,
            summary: vec![sizes.sentence(listed.len())],
            diagnoses: findings::all(&listed),
            limits: limits.into_iter().collect(),
            ..Report::default()
        })
    }
}

/// The variables by the object they hold; those that the user can see come first.
struct Names(HashMap<usize, String>);

impl Names {
    fn of(user: User<'_, '_>) -> Self {
        let mut variables: Vec<(String, usize)> = user
            .namespace
            .iter()
            .filter_map(|(name, value)| Some((name.extract().ok()?, value.as_ptr().addr())))
            .collect();
        variables.sort_by_key(|(name, _)| name.starts_with('_'));
        let mut names = HashMap::new();
        for (name, id) in variables {
            names.entry(id).or_insert(name);
        }
        Self(names)
    }
}

fn list<'py>(
    args: &Args,
    user: User<'_, 'py>,
    names: &Names,
    maps: &Maps,
) -> Result<Vec<Listed<'py>>, Error> {
    let named = !args.names.is_empty();
    let objects = if named {
        named_objects(&args.names, user)?
    } else {
        visible_objects(user)
    };
    let mut listed = Vec::new();
    for (name, object) in objects {
        for found in buffers::of(&object, named) {
            let owner = found
                .buffer
                .as_ref()
                .map(|buffer| owner(buffer, &object, names))
                .unwrap_or_default();
            let bounds = found
                .buffer
                .as_ref()
                .ok()
                .map(|buffer| buffer.layout.bounds());
            let mapping = bounds
                .filter(|span| !span.is_empty())
                .and_then(|span| mapping(maps, span.start));
            let name = format!("{name}{}", found.part);
            listed.push(Listed {
                name,
                buffer: found.buffer,
                owner,
                mapping,
                shares_with: Vec::new(),
            });
        }
    }
    Ok(listed)
}

fn named_objects<'py>(
    names: &[String],
    user: User<'_, 'py>,
) -> Result<Vec<(String, Bound<'py, PyAny>)>, Error> {
    let object = |name: &String| match user.namespace.get_item(name)? {
        Some(object) => Ok((name.clone(), object)),
        None => Err(unknown(name, user)),
    };
    names.iter().map(object).collect()
}

fn unknown(name: &str, user: User<'_, '_>) -> Error {
    let is_expression = name.contains(|letter: char| !letter.is_alphanumeric() && letter != '_');
    if is_expression {
        return Error::Usage(format!(
            "%buffer_addr: {name:?} is no name; assign it to a variable first"
        ));
    }
    let known: Vec<String> = user
        .namespace
        .keys()
        .iter()
        .filter_map(|name| name.extract().ok())
        .collect();
    let meant = did_you_mean(name, known.iter().map(String::as_str));
    Error::Usage(format!(
        "%buffer_addr: there is no variable {name:?}{meant}"
    ))
}

fn visible_objects<'py>(user: User<'_, 'py>) -> Vec<(String, Bound<'py, PyAny>)> {
    let name = |key: Bound<'py, PyAny>| {
        Some(
            key.cast_into::<PyString>()
                .ok()?
                .to_string_lossy()
                .into_owned(),
        )
    };
    let variables = user
        .namespace
        .iter()
        .filter_map(|(key, value)| Some((name(key)?, value)));
    variables
        .filter(|(name, _)| !name.starts_with('_'))
        .collect()
}

fn owner(buffer: &Buffer<'_>, object: &Bound<'_, PyAny>, names: &Names) -> Owner {
    let id = buffer.owner.as_ptr().addr();
    let is_self = buffer.owner.is(object);
    let span = if is_self {
        Some(buffer.layout.bounds())
    } else {
        let mut found = buffers::of(&buffer.owner, false).into_iter();
        found
            .next()
            .and_then(|found| found.buffer.ok())
            .map(|buffer| buffer.layout.bounds())
    };
    Owner {
        name: names.0.get(&id).cloned(),
        kind: buffers::type_name(&buffer.owner),
        id,
        span,
        is_self,
    }
}

/// What the kernel says about the memory at an address.
fn mapping(maps: &Maps, address: usize) -> Option<String> {
    let region = maps.find(address)?;
    let kind = match region.kind() {
        Kind::Heap => "heap",
        Kind::Stack => "stack",
        Kind::Anonymous => "anonymous",
        Kind::File | Kind::Special => region.name.as_deref().unwrap_or_default(),
    };
    Some(if region.perms.ends_with('s') {
        format!("{kind} (shared)")
    } else {
        kind.to_owned()
    })
}

fn row<'a>(one: &'a Listed<'_>, all: &'a [Listed<'_>]) -> Row<'a> {
    let buffer = match &one.buffer {
        Ok(buffer) => buffer,
        Err(error) => {
            return Row {
                name: &one.name,
                error: Some(error),
                ..Row::default()
            };
        }
    };
    let layout = &buffer.layout;
    let bounds = layout.bounds();
    let flag = |set: bool, word| set.then_some(word);
    let flags = [
        flag(buffer.c_contiguous, "C"),
        flag(buffer.f_contiguous, "F"),
        flag(buffer.writeable, "W"),
        flag(layout.address.is_multiple_of(64), "A64"),
    ];
    Row {
        name: &one.name,
        kind: Some(&buffer.kind),
        dtype: Some(&buffer.dtype),
        shape: Some(&layout.shape),
        strides: Some(&layout.strides),
        addr: Some(Address(layout.address)),
        end: Some(Address(bounds.end)),
        nbytes: Some(layout.listed()),
        owner: if one.owner.is_self {
            Some(&one.name)
        } else {
            one.owner.name.as_deref()
        },
        owner_type: Some(&one.owner.kind),
        offset: one
            .owner
            .span
            .map(|span| layout.address.wrapping_sub(span.start).cast_signed()),
        flags: Some(flags.into_iter().flatten().collect()),
        mapping: one.mapping.as_deref(),
        shares_with: Some(
            one.shares_with
                .iter()
                .map(|&other| all[other].name.as_str())
                .collect(),
        ),
        error: None,
    }
}

/// How much is listed, and how much memory that is.
struct Sizes {
    listed: usize,
    distinct: usize,
    exact: bool,
}

impl Sizes {
    /// Beyond so many pieces, a strided buffer counts with its bounds.
    const PIECES: usize = 100_000;

    fn of(listed: &[Listed<'_>]) -> Self {
        let layouts = || listed.iter().filter_map(Listed::layout);
        let (dense, strided): (Vec<_>, Vec<_>) = layouts().partition(|layout| layout.is_dense());
        let mut pieces = spans::union(dense.into_iter().map(Layout::bounds).collect());
        let mut exact = true;
        let inside = |span: Span, pieces: &[Span]| {
            pieces.iter().any(|piece| piece.intersection(span) == span)
        };
        for layout in strided
            .into_iter()
            .filter(|layout| !inside(layout.bounds(), &pieces))
            .collect::<Vec<_>>()
        {
            let touched = layout.touched(Self::PIECES);
            exact &= touched.is_some();
            pieces.extend(touched.unwrap_or_else(|| vec![layout.bounds()]));
        }
        Self {
            listed: layouts().map(Layout::listed).sum(),
            distinct: spans::union(pieces).into_iter().map(Span::len).sum(),
            exact,
        }
    }

    fn sentence(&self, rows: usize) -> String {
        if rows == 0 {
            return "no variable lends memory".into();
        }
        let about = if self.exact { "" } else { "at most " };
        format!(
            "{} listed, {about}{} distinct",
            bytes(self.listed as f64),
            bytes(self.distinct as f64)
        )
    }
}
