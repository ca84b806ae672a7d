//! `%rust_status`: what Rust cells have made so far.

mod columns;

use diaphane_rust_protocol::{Answer, Question, Status};
use serde_json::json;

use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::rust_cells::taint::{self, Taint};
use crate::rust_cells::{ask, client, kept, state};
use diaphane_report::{Report, Schema, fields, rows};

/// Show what Rust cells have: the compiler, the items that later cells can use, the dependencies, kept variables
#[derive(Debug, clap::Args)]
pub(crate) struct RustStatusArgs {
    /// Do not ask the compiler: show what is known in this process
    #[arg(long)]
    here: bool,
}

/// The magic.
pub(crate) struct RustStatus;

impl Magic for RustStatus {
    const NAME: &'static str = "rust_status";
    const QUESTIONS: Questions = &[("Which functions and variables do my Rust cells have?", "")];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = RustStatusArgs;

    fn only_looks(args: &RustStatusArgs) -> bool {
        args.here
    }

    fn run(args: &RustStatusArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let mut report = if args.here || !client::is_running() {
            let cells = state::loaded_cells();
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
                _ => return Err(state::unexpected()),
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
        "Completion knows the standard library, dependencies, items and what is borrowed."
    } else {
        "Completion knows dependencies, items and what is borrowed; the standard library too, if you \
         install its sources: rustup component add rust-src"
    };
    Ok(Report {
        name,
        columns: columns::COLUMNS,
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
