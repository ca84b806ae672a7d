//! What was compiled in this session: an unchanged cell is not compiled again. `%rust_status` and `%rust_reset`.

use std::collections::HashMap;
use std::sync::Arc;

use diaphane_rust_protocol::{Answer, Bind, Compile, Question, Status};
use parking_lot::Mutex;
use pyo3::prelude::*;
use serde_json::json;

use super::library::{Loaded, load};
use super::taint::{self, Taint};
use super::{ask, client, kept};
use crate::error::Error;
use crate::magic::{Context, Magic, User};
use diaphane_report::{Column, Report, Show, fields, rows};

/// All that the library of a cell depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    source: String,
    binds: Vec<Bind>,
    outputs: Vec<String>,
    keeps: Vec<String>,
    opt_level: String,
    native: bool,
    exports: bool,
    /// What items and dependencies there were.
    generation: u64,
}

/// The session.
#[derive(Debug, Default)]
struct Session {
    generation: u64,
    cells: HashMap<Key, Arc<Loaded>>,
}

static SESSION: Mutex<Option<Session>> = Mutex::new(None);

/// The library of a cell, and whether it was there before.
pub fn compiled(asked: &Compile, user: User<'_, '_>) -> Result<(Arc<Loaded>, bool), Error> {
    let mut key = Key {
        source: asked.source.clone(),
        binds: asked.binds.clone(),
        outputs: asked.outputs.clone(),
        keeps: asked.keeps.clone(),
        opt_level: asked.opt_level.clone(),
        native: asked.native,
        exports: asked.exports,
        generation: 0,
    };
    {
        let mut session = SESSION.lock();
        let session = session.get_or_insert_default();
        key.generation = session.generation;
        let known = session.cells.get(&key);
        if let Some(loaded) = known.filter(|loaded| kept::fits(&loaded.compiled.kept)) {
            return Ok((Arc::clone(loaded), true));
        }
    }
    let mut asked = asked.clone();
    let names = user.namespace.keys();
    asked.names = names
        .iter()
        .filter_map(|name| name.extract().ok())
        .collect();
    let cell = asked.cell;
    let answer = ask(user, &Question::Compile(asked))?;
    let Answer::Compiled(compiled) = answer else {
        return Err(unexpected());
    };
    let has_changed = compiled.items_changed;
    let loaded = user.py.detach(|| load(compiled, cell))?;
    let mut session = SESSION.lock();
    let session = session.get_or_insert_default();
    if has_changed {
        session.generation += 1;
        // Cells that were compiled with other items are compiled again.
        session.cells.clear();
    }
    key.generation = session.generation;
    session.cells.insert(key, Arc::clone(&loaded));
    Ok((loaded, false))
}

fn unexpected() -> Error {
    Error::Usage("%%rust: the compiler's answer is to another question; %rust_reset".to_owned())
}

/// Show what Rust cells have: the compiler, the items that later cells can use, the dependencies, kept variables
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Do not ask the compiler: tell what is known in this process
    #[arg(long)]
    here: bool,
}

/// The magic.
pub(crate) struct RustStatus;

const COLUMNS: &[Column] = &[
    Column::new("kind", Show::Text, 0),
    Column::new("name", Show::Text, 0),
    Column::new("cell", Show::Number, 0),
];

impl Magic for RustStatus {
    const NAME: &'static str = "rust_status";
    type Args = StatusArgs;

    fn only_looks(args: &StatusArgs) -> bool {
        args.here
    }

    fn run(args: &StatusArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let mut report = if args.here || !client::is_running() {
            let cells = SESSION.lock().as_ref().map_or(0, |one| one.cells.len());
            Report {
                name: Self::NAME,
                summary: vec![match cells {
                    0 => "No Rust cell is loaded.".to_owned(),
                    1 => "One Rust cell is loaded.".to_owned(),
                    more => format!("{more} Rust cells are loaded."),
                }],
                ..Report::default()
            }
        } else {
            match ask(context.user()?, &Question::Status)? {
                Answer::Status(status) => report(Self::NAME, status)?,
                _ => return Err(unexpected()),
            }
        };
        let taint = taint::taint();
        report
            .facts
            .insert("tainted".into(), serde_json::to_value(&taint)?);
        report.diagnoses.extend(taint.iter().map(Taint::diagnosis));
        Ok(report)
    }
}

fn report(name: &'static str, status: Status) -> Result<Report, Error> {
    let dependencies = status.dependencies.iter().map(|(name, config)| {
        json!({"kind": "dependency", "name": format!("{name} = {config}"), "cell": null})
    });
    let items = status.items.iter().map(|item| json!(item));
    let kept = kept::all();
    let kept = kept.iter().map(|one| {
        let name = format!("{}: {}", one.about.name, one.about.rust);
        json!({"kind": "kept", "name": name, "cell": one.cell})
    });
    let counted = format!(
        "{} cells compiled by {} in {}",
        status.cells, status.rustc, status.folder
    );
    let completes = if status.has_sources {
        "Completion knows the standard library, dependencies, items and what is lent."
    } else {
        "Completion knows dependencies, items and what is lent; the standard library too, if you \
         install its sources: rustup component add rust-src"
    };
    Ok(Report {
        name,
        columns: COLUMNS,
        rows: rows(items.chain(dependencies).chain(kept))?,
        facts: fields(json!({
            "rustc": status.rustc,
            "folder": status.folder,
            "std_sources": status.has_sources,
            "cells": status.cells,
        }))?,
        summary: vec![counted, completes.to_owned()],
        ..Report::default()
    })
}

/// Forget the items and dependencies of all Rust cells and drop what they kept; libraries that are loaded stay
#[derive(Debug, clap::Args)]
pub(crate) struct ResetArgs {}

/// The magic.
pub(crate) struct RustReset;

impl Magic for RustReset {
    const NAME: &'static str = "rust_reset";
    type Args = ResetArgs;

    fn only_looks(_args: &ResetArgs) -> bool {
        false
    }

    fn run(_args: &ResetArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        if client::is_running() {
            ask(context.user()?, &Question::Reset)?;
        }
        kept::clear();
        if let Some(session) = SESSION.lock().as_mut() {
            session.generation += 1;
            session.cells.clear();
        }
        Ok(Report {
            name: Self::NAME,
            summary: vec![
                "Items and dependencies of Rust cells are forgotten, and kept variables dropped."
                    .to_owned(),
            ],
            ..Report::default()
        })
    }
}
