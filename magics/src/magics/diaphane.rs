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
/// that there are. Any other word lists the questions in which it stands. `%name?` explains a magic with its options and fields.
#[derive(Debug, clap::Args)]
pub(crate) struct DiaphaneArgs {
    /// The code of a diagnosis, or codes for the list of them; a word of the glossary, or glossary for all of it; or a
    /// word of a question
    #[arg(value_name = "CODE|WORD")]
    asked: Vec<String>,
}

/// What is asked in a terminal, since no cell can while one runs.
const IN_A_TERMINAL: Questions = &[
    (
        "What hangs? In a terminal, while the cell runs:",
        "diaphane ask stack",
    ),
    (
        "What does a kernel do, again every second? In a terminal:",
        "diaphane top",
    ),
];

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
            asked => {
                pages::report(Self::NAME, asked).or_else(|unknown| about(asked, context, unknown))
            }
        }
    }
}

fn overview(context: &Context<'_, '_>) -> Result<Report, Error> {
    questions(context, |_, _| true)
}

/// The questions in which some words stand; without any, what was wrong with asking.
fn about(asked: &str, context: &Context<'_, '_>, unknown: Error) -> Result<Report, Error> {
    let asked = asked.to_lowercase();
    let words: Vec<&str> = asked
        .split([' ', '%'])
        .filter(|word| !word.is_empty())
        .collect();
    let stands = |question: &str, ask: &str| {
        let text = format!("{question} {ask}").to_lowercase();
        !words.is_empty() && words.iter().all(|word| text.contains(word))
    };
    let found = questions(context, stands)?;
    match found.rows.is_empty() {
        true => Err(unknown),
        false => Ok(found),
    }
}

/// The questions that are wanted, by their texts and the lines that answer them.
fn questions(
    context: &Context<'_, '_>,
    is_wanted: impl Fn(&str, &str) -> bool,
) -> Result<Report, Error> {
    let magics = (context.all)();
    let questions = magics.iter().flat_map(|(magic, questions)| {
        let ask = move |line: &str| match line.strip_prefix("%%") {
            // As a cell magic, where it is both.
            Some(rest) => format!("%{magic}{rest}"),
            None => format!("{magic} {line}").trim_end().to_owned(),
        };
        questions
            .iter()
            .map(move |(question, line)| (*question, ask(line)))
    });
    let others = IN_A_TERMINAL
        .iter()
        .map(|(question, ask)| (*question, (*ask).to_owned()));
    Ok(Report {
        name: Diaphane::NAME,
        columns: columns::QUESTIONS,
        rows: rows(
            questions
                .chain(others)
                .filter(|(question, ask)| is_wanted(question, ask))
                .map(|(question, ask)| json!({"question": question, "ask": ask})),
        )?,
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
