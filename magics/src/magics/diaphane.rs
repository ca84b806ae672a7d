//! `%diaphane`: the questions that the magics answer, the page of a diagnosis, and what a word means.
//!
//! It knows neither: each magic has its own questions, and the pages are those of the documentation.

mod columns;

use serde_json::json;

use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::pages;
use diaphane_report::{Report, Schema, rows};

/// Show what you can ask: the questions, each with the magic that answers it.
///
/// With the code of a diagnosis, such as B001, it shows the page of that: what it means, how to see it, and what to do.
/// `codes` lists all of them. With a word of the reports, such as soname, it explains the word; `glossary` explains all
/// that there are. `%name?` explains a magic with its options and fields.
#[derive(Debug, clap::Args)]
pub(crate) struct DiaphaneArgs {
    /// The code of a diagnosis, or codes for the list of them; or a word of the glossary, or glossary for all of it
    #[arg(value_name = "CODE|WORD")]
    asked: Vec<String>,
}

/// The magic.
pub(crate) struct Diaphane;

impl Magic for Diaphane {
    const NAME: &'static str = "diaphane";
    const QUESTIONS: Questions = &[
        ("What does a diagnosis mean, and what shall I do?", "B001"),
        ("Which diagnoses are there?", "codes"),
        ("What does a word of a report mean?", "soname"),
    ];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = DiaphaneArgs;

    fn run(args: &DiaphaneArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        match args.asked.join(" ").as_str() {
            "" => overview(context),
            "codes" => codes(),
            asked => pages::report(Self::NAME, asked),
        }
    }
}

fn overview(context: &Context<'_, '_>) -> Result<Report, Error> {
    let magics = (context.all)();
    let questions = magics.iter().flat_map(|(magic, questions)| {
        let ask = move |line: &str| match line.strip_prefix("%%") {
            // As a cell magic, where it is both.
            Some(rest) => format!("%{magic}{rest}"),
            None => format!("{magic} {line}").trim_end().to_owned(),
        };
        let row =
            move |(question, line): &(&str, &str)| json!({"question": question, "ask": ask(line)});
        questions.iter().map(row)
    });
    Ok(Report {
        name: Diaphane::NAME,
        columns: columns::QUESTIONS,
        rows: rows(questions)?,
        shown: usize::MAX,
        summary: vec![
            "%name? explains a magic with its options; one with two percent signs stands on the first line of the cell that \
             it watches; a report is a value: libs = %loaded_libs"
                .into(),
        ],
        ..Report::default()
    })
}

fn codes() -> Result<Report, Error> {
    let titles = pages::titles().map(|(code, title)| json!({"code": code, "means": title}));
    Ok(Report {
        name: Diaphane::NAME,
        columns: columns::CODES,
        rows: rows(titles)?,
        shown: usize::MAX,
        summary: vec!["%diaphane CODE shows the page of a diagnosis".into()],
        ..Report::default()
    })
}
