//! Reports: what was asked, as rows with columns, findings and limits, and their views as text, HTML, SVG and JSON.
//!
//! Plain data in, text out: this crate knows no process, no Python and no command line.

mod column;
mod diff;
mod error;
mod pattern;
mod report;
mod row;
pub mod spelling;
mod stored;
pub mod view;

pub use column::{Column, Show};
pub use error::Error;
pub use pattern::regex;
pub use report::{Address, Arrangement, Diagnosis, Facts, Report, Severity, Table, fields, rows};
pub use row::Row;
