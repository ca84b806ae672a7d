//! Reports: what a question about a process found, as rows with columns, findings and limits, and their views as text,
//! HTML, SVG and JSON.
//!
//! Plain data in, text out: this crate knows no process, no Python and no command line.
//!
//! A [`Report`] is filled by whoever has looked, arranged as the user asked ([`Report::arrange`]), and turned into text by
//! [`view`]. It can be compared with another one of the same name ([`Report::diff`]), written to a file and read again
//! ([`Report::to_stored`], [`Report::from_stored`]).
//!
//! ```
//! use diaphane_report::{Address, Arrangement, Column, Report, Show, rows, view};
//! use serde_json::json;
//!
//! const COLUMNS: &[Column] = &[
//!     Column::new("name", Show::Text, 0),
//!     Column::new("size", Show::Bytes, 1),
//!     Column::new("base", Show::Address, 2),
//! ];
//!
//! let mut report = Report {
//!     name: "regions",
//!     columns: COLUMNS,
//!     rows: rows([json!({"name": "heap", "size": 135_168, "base": Address(0x5555_0000)})])?,
//!     summary: vec!["one region".into()],
//!     ..Report::default()
//! };
//! report.arrange(&Arrangement::default())?;
//! let text = view::plain(&report, 80);
//! assert!(text.contains("135.2 kB") && text.contains("0x55550000"));
//! # Ok::<(), diaphane_report::Error>(())
//! ```

#![warn(missing_docs)]

mod arrangement;
mod bar;
mod column;
mod diff;
mod drawing;
mod error;
pub mod flame;
mod merge;
mod packed;
mod pattern;
mod report;
mod row;
mod schema;
pub mod spelling;
mod stored;
pub mod view;

pub use arrangement::Arrangement;
pub use bar::{Bar, Part};
pub use column::{Column, Field, Rows, Show};
pub use drawing::{Area, Drawing, Ink};
pub use error::Error;
pub use merge::Merger;
pub use packed::{PackedReport, PackedRows};
pub use pattern::regex;
pub use report::{Address, Answer, Diagnosis, Facts, Report, Severity, Table, fields, rows};
pub use row::Row;
pub use schema::Schema;
