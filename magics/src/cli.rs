//! The line behind a magic: splitting it into words, the options that all magics share, usage and help.
//!
//! The grammar of each magic is its `clap` type; usage line, help and error messages are made from it.

mod complete;
mod words;

use std::any::TypeId;
use std::fmt;

use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser};
use pyo3::Python;

pub(crate) use self::complete::complete;
use self::words::split;
use crate::error::Error;
use crate::python::objects::is_name;
use diaphane_forks::ProcessLock;
use diaphane_report::view::text::wrap;
use diaphane_report::{Arrangement, Schema};

/// A whole line: the magic's own words and the options that all magics share.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(crate) struct MagicLine<A: Args> {
    #[command(flatten)]
    pub own: A,
    #[command(flatten)]
    pub common: Common,
}

/// Options that every magic has.
#[derive(Debug, Default, Args)]
#[command(next_display_order = 1000)]
pub(crate) struct Common {
    /// Keep the rows in which some field matches, in any case
    #[arg(long, value_name = "REGEX")]
    pub filter: Option<String>,
    /// Sort by this column: sizes and times from the largest, the rest from the smallest
    #[arg(long, value_name = "COL")]
    pub sort: Option<String>,
    /// Keep the first N rows; without it all are kept and 30 shown, with 0 all are shown
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub top: Option<usize>,
    /// Show the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Bind the report, whose rows are dicts, to a variable instead of showing it
    #[arg(long = "as", value_name = "NAME")]
    pub bind: Option<String>,
    /// Without diagnoses
    #[arg(long)]
    pub no_diag: bool,
}

impl Common {
    /// Whether the report can be given so: asked before a cell runs, whose report would be lost.
    pub fn check(&self, asker: &str, schema: &Schema, py: Python<'_>) -> Result<(), Error> {
        let columns = schema.rows.iter().flat_map(|rows| rows.columns);
        self.arrangement().check(asker, columns)?;
        match &self.bind {
            Some(name) if !is_name(py, name)? => Err(Error::Usage(format!(
                "{asker}: --as needs the name of a variable, not {name:?}"
            ))),
            _ => Ok(()),
        }
    }

    /// What they ask to do with the rows.
    pub fn arrangement(&self) -> Arrangement {
        Arrangement {
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            top: self.top,
            json: self.json,
            no_diag: self.no_diag,
        }
    }
}

/// What stands behind the name of a magic.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line<'a> {
    /// As somebody wrote it.
    Text(&'a str),
    /// Divided into words already.
    Words(&'a [String]),
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(line) => text.write_str(line),
            Self::Words(words) => text.write_str(&words.join(" ")),
        }
    }
}

/// Parses the line of a magic, which is named with its percent signs.
pub(crate) fn parse<A: Args + 'static>(magic: &str, line: Line<'_>) -> Result<MagicLine<A>, Error> {
    let refuse = |what: String| {
        Error::Usage(format!(
            "{magic}: {what}; usage: {}",
            usage(magic, &command::<A>())
        ))
    };
    with_grammar::<A, _>(|grammar| {
        let words = match line {
            Line::Text(line) => split(line, grammar).map_err(refuse)?.words,
            Line::Words(words) => words.to_vec(),
        };
        let parsed = grammar
            .try_get_matches_from_mut(words)
            .and_then(|mut found| MagicLine::from_arg_matches_mut(&mut found));
        parsed.map_err(|error| refuse(explain(&error)))
    })
}

/// Does something by the grammar of a whole line, which takes longer to make than to parse a line by it, and is kept.
fn with_grammar<A: Args + 'static, T>(parse: impl FnOnce(&mut Command) -> T) -> T {
    static KEPT: ProcessLock<Vec<(TypeId, Command)>> = ProcessLock::new(Vec::new);
    let (id, kept) = (TypeId::of::<A>(), || KEPT.lock());
    let take = |kept: &mut Vec<(TypeId, Command)>| {
        let place = kept.iter().position(|(of, _)| *of == id)?;
        Some(kept.swap_remove(place).1)
    };
    // Who comes while another thread has it makes its own.
    let mut grammar = take(&mut kept()).unwrap_or_else(MagicLine::<A>::command);
    let parsed = parse(&mut grammar);
    let mut kept = kept();
    take(&mut kept);
    kept.push((id, grammar));
    parsed
}

/// The options with which a line begins, and the statement behind them.
pub(crate) fn options_and_statement<A: Args>(line: &str) -> (&str, &str) {
    let command = command::<A>();
    let wants_value = |word: &str| {
        let long = word.strip_prefix("--");
        let mut options = command.get_arguments();
        options.any(|option| option.get_long() == long && option.get_action().takes_values())
    };
    let mut rest = line.trim_start();
    while rest.starts_with("--") {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        if wants_value(word) {
            let (_, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = after.trim_start();
        }
    }
    (&line[..line.len() - rest.len()], rest.trim_end())
}

/// Whether a line ends with `;`. One that cannot be understood does not.
pub(crate) fn is_silent(line: &str, command: &Command) -> bool {
    split(line, command).is_ok_and(|line| line.is_silent)
}

/// The grammar of a whole line, with the magic's own documentation.
pub(crate) fn command<A: Args>() -> Command {
    let own = A::augment_args(Command::default());
    let about = own.get_long_about().or(own.get_about());
    MagicLine::<A>::command().long_about(about.cloned().unwrap_or_default())
}

/// One line that shows everything that may be given.
pub(crate) fn usage(magic: &str, command: &Command) -> String {
    let mut usage = magic.to_owned();
    for argument in command.get_arguments() {
        let value = argument
            .get_value_names()
            .map(|names| names.join(" "))
            .unwrap_or_default();
        let many = argument
            .get_num_args()
            .is_some_and(|range| range.max_values() > 1);
        usage += &match argument.get_long() {
            Some(long) if argument.get_action().takes_values() => format!(" [--{long} {value}]"),
            Some(long) => format!(" [--{long}]"),
            None if argument.is_required_set() => format!(" {value}"),
            None => format!(" [{value}{}]", if many { " ..." } else { "" }),
        };
    }
    usage
}

/// What a magic says about itself, without what may stand on its line.
pub(crate) fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    about.map(ToString::to_string).unwrap_or_default()
}

/// The text behind `%name?`.
pub(crate) fn help(magic: &str, command: Command, schema: &Schema) -> String {
    const WIDTH: usize = 80;
    let usage = format!("Usage: {}", usage(magic, &command));
    let about = about(&command);
    let about = about.lines().flat_map(|line| wrap(line, "", WIDTH));
    let options = command.help_template("{all-args}").render_help();
    let options = options.to_string();
    let options = options.lines().flat_map(|line| below_itself(line, WIDTH));
    let parts = [
        lines(about),
        lines(wrap(&usage, "  ", WIDTH)),
        lines(options),
        schema.help(WIDTH),
    ];
    parts.join("\n\n").trim_end().to_owned()
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// An option and its text, broken so that the text stands below its beginning. The parser aligns them, and breaks nothing.
fn below_itself(line: &str, width: usize) -> Vec<String> {
    let option = line.trim_start();
    let begin = line.len() - option.len();
    let Some(gap) = option.find("  ") else {
        return vec![line.to_owned()];
    };
    let text = option[gap..].trim_start();
    let indent = begin + option.len() - text.len();
    let mut before = line[..indent].to_owned();
    let blanks = " ".repeat(indent);
    let broken = wrap(text, "", width - indent).into_iter();
    let shown = broken.map(|part| std::mem::replace(&mut before, blanks.clone()) + &part);
    shown.collect()
}

/// Says in a few words what the parser did not like.
fn explain(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(ToString::to_string);
    let given = context(ContextKind::InvalidArg).unwrap_or_default();
    let value = context(ContextKind::InvalidValue).unwrap_or_default();
    let meant = context(ContextKind::SuggestedArg)
        .map(|meant| format!(", did you mean {meant}?"))
        .unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument if given.starts_with('-') => {
            format!("unknown argument {given:?}{meant}")
        }
        ErrorKind::UnknownArgument => {
            format!(
                "{given:?} is one argument too many; --filter {given} keeps the rows that match"
            )
        }
        ErrorKind::ArgumentConflict => match error.get(ContextKind::PriorArg) {
            Some(other) if other.to_string() != given => {
                format!("{given} cannot stand beside {other}")
            }
            _ => format!("{given} is given twice"),
        },
        ErrorKind::MissingRequiredArgument => {
            format!(
                "{} is missing",
                given.trim_end_matches("...").trim_matches(['<', '>'])
            )
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{given} lacks its value"),
        _ => format!("{value:?} is no value for {given}{}", possible(error)),
    }
}

/// The values that an option takes, where they are few.
fn possible(error: &clap::Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(values) if !values.to_string().is_empty() => format!(", which takes {values}"),
        _ => String::new(),
    }
}

/// A number of bytes such as `4096`, `64kB` or `1.5 MB`, in units of 1000, or of 1024 with an i (`MiB`).
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let at = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = unit.trim().to_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (unit, base) = match unit.strip_suffix('i') {
        Some(unit) => (unit, 1024f64),
        None => (unit, 1000f64),
    };
    let power = ["", "k", "m", "g", "t"]
        .iter()
        .position(|known| *known == unit);
    let number: Option<f64> = number.replace('_', "").parse().ok();
    match (number, power) {
        (Some(number), Some(power)) => Ok((number * base.powi(power as i32)) as usize),
        _ => Err("a size is a number of bytes, or one with a unit: 64kB, 1MB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Look for something.
    #[derive(Debug, Args)]
    struct Probe {
        /// What to look for
        #[arg(value_name = "REGEX")]
        pattern: Option<String>,
    }

    fn message(line: &str) -> String {
        parse::<Probe>("%probe", Line::Text(line))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_statement_stands_behind_the_options() {
        let divided = options_and_statement::<Probe>("--json --top 3 f(\"a b\", --x) ");
        assert_eq!(divided, ("--json --top 3 ", "f(\"a b\", --x)"));
        assert_eq!(options_and_statement::<Probe>("-x"), ("", "-x"));
    }

    #[test]
    fn options_are_understood() {
        let line = parse::<Probe>("%probe", Line::Text(r"\.so$ --top 3 --as rows --json")).unwrap();
        assert_eq!(line.own.pattern.as_deref(), Some(r"\.so$"));
        let common = line.common;
        assert_eq!(
            (common.top, common.bind.as_deref(), common.json),
            (Some(3), Some("rows"), true)
        );
    }

    #[test]
    fn the_help_is_about_the_magic() {
        let help = help("%probe", command::<Probe>(), &Schema::new(&[], &[]));
        assert!(help.starts_with("Look for something\n"), "{help}");
        let sort = "\
\n      --sort <COL>      Sort by this column: sizes and times from the largest,
                        the rest from the smallest\n";
        assert!(help.contains(sort), "{help}");
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    }

    #[test]
    fn a_mistake_gets_one_line_with_the_usage() {
        let usage = "usage: %probe [REGEX] [--filter REGEX] [--sort COL] [--top N] [--json] [--as NAME] [--no-diag]";
        assert_eq!(
            message("--jsn"),
            format!("%probe: unknown argument \"--jsn\", did you mean --json?; {usage}")
        );
        assert_eq!(
            message("--top x"),
            format!("%probe: \"x\" is no value for --top <N>; {usage}")
        );
        assert_eq!(
            message("a b"),
            format!(
                "%probe: \"b\" is one argument too many; --filter b keeps the rows that match; {usage}"
            )
        );
        assert!(message("--top").starts_with("%probe: --top <N> lacks its value; "));
        assert!(message("--json --json").starts_with("%probe: --json is given twice; "));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("1.5 MB"), Ok(1_500_000));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("2g"), Ok(2_000_000_000));
        assert!(size("").is_err() && size("3 apples").is_err() && size("1.2.3").is_err());
    }
}
