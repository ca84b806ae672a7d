//! `%stack`: what the process runs at this moment, Python and native functions in one; also while a cell hangs.

use std::collections::HashMap;

use serde_json::json;

use crate::report::{Report, Show, fields, rows};
use crate::threads::{Interpreter, check_interpreter, python_names, threads_now};
use crate::view::text::shorten;
use crate::{Context, Error, Magic};

/// Show what the main thread runs at this moment: its Python and native functions, the innermost first.
///
/// In a cell this is the line itself. `diaphane ask stack` in a terminal answers while a cell runs or hangs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show the interpreter's and the C library's own functions too
    #[arg(long)]
    native: bool,
    /// Show all threads
    #[arg(long)]
    all: bool,
}

/// No line is wider; the rows have the whole names.
const WIDEST: usize = 100;

/// The magic.
pub(crate) struct Stack;

impl Magic for Stack {
    const NAME: &'static str = "stack";
    type Args = Args;

    /// Threads may get a signal.
    fn only_looks(_args: &Args) -> bool {
        false
    }

    fn run(args: &Args, context: &Context<'_, '_>) -> Result<Report, Error> {
        let names = match context.user {
            Some(user) => {
                check_interpreter(user.py);
                python_names(user.py)?
            }
            None => HashMap::new(),
        };
        // The GIL is kept, so that no Python function returns meanwhile.
        let mut threads = threads_now(&names, context.user.is_some())?;
        threads.retain(|thread| args.all || thread.is_main);
        let mut limits = Vec::new();
        if !Interpreter::look().known {
            limits.push(
                "this Python's own structures are not known, so its functions are not shown".into(),
            );
        }
        Ok(Report {
            name: Self::NAME,
            rows: rows(threads.iter().flat_map(|thread| thread.rows()))?,
            listing: threads
                .iter()
                .flat_map(|thread| thread.lines(args.native))
                .map(|line| shorten(&line, WIDEST, Show::Text))
                .collect(),
            facts: fields(json!({"threads": threads.len()}))?,
            limits,
            ..Report::default()
        })
    }
}
