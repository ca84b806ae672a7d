//! `%rust_reset`: forget what Rust cells have made.

use diaphane_rust_protocol::Question;

use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::rust_cells::{ask, client, kept, state};
use diaphane_report::{Report, Schema};

/// Forget the items and dependencies of all Rust cells and drop what they kept; libraries that are loaded stay
#[derive(Debug, clap::Args)]
pub(crate) struct RustResetArgs {}

/// The magic.
pub(crate) struct RustReset;

impl Magic for RustReset {
    const NAME: &'static str = "rust_reset";
    const QUESTIONS: Questions = &[("How do I forget what Rust cells defined?", "")];
    const SCHEMA: &'static Schema = &Schema::new(&[], &[]);
    type Args = RustResetArgs;

    const CHANGES: bool = true;

    fn only_looks(_args: &RustResetArgs) -> bool {
        false
    }

    fn run(_args: &RustResetArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        if client::is_running() {
            ask(context.user()?, &Question::Reset)?;
        }
        kept::clear();
        state::forget();
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
