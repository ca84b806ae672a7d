//! What may stand at the cursor on the line of a magic, by its grammar.

use clap::{Arg, Command};

use super::words::written;
use diaphane_report::Schema;

/// What could be written instead of the word before the cursor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Where that word begins, in characters of the line.
    pub start: usize,
    /// The texts that the grammar knows.
    pub texts: Vec<String>,
    /// What kind of value it is, where the grammar does not know the texts.
    pub value: Option<String>,
}

/// Completes the line up to the cursor.
pub(crate) fn complete(line: &str, command: &Command, schema: &Schema) -> Completion {
    let Some((mut words, mut last)) = written(line, command) else {
        return Completion::default();
    };
    let mut start = line.chars().count() - last.chars().count();
    if let Some((option, value)) = last.clone().split_once('=')
        && option.starts_with("--")
    {
        words.push(option.to_owned());
        value.clone_into(&mut last);
        start = line.chars().count() - last.chars().count();
    }
    let before = words.last().and_then(|word| option(command, word));
    if let Some(option) = before.filter(|option| option.get_action().takes_values()) {
        let mut found = values(option, &last, schema);
        // The value may be left out, and the next option follow.
        if option
            .get_num_args()
            .is_some_and(|count| count.min_values() == 0)
        {
            found.texts.extend(options(command, &last, &words));
        }
        return Completion { start, ..found };
    }
    if last.starts_with('-') {
        let texts = options(command, &last, &words);
        return Completion {
            start,
            texts,
            value: None,
        };
    }
    let given = places(command, &words);
    let positionals: Vec<&Arg> = command.get_positionals().collect();
    let place = positionals.get(given).or(positionals.last().filter(|last| {
        last.get_num_args()
            .is_some_and(|count| count.max_values() > 1)
    }));
    let mut found = place.map_or_else(Completion::default, |place| values(place, &last, schema));
    if last.is_empty() {
        found.texts.extend(options(command, "", &words));
    }
    Completion { start, ..found }
}

/// The option of this spelling.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let long = word.strip_prefix("--")?;
    command
        .get_arguments()
        .find(|option| option.get_long() == Some(long))
}

/// The options that begin so and were not given yet.
fn options(command: &Command, begin: &str, given: &[String]) -> Vec<String> {
    let all = command.get_arguments().filter_map(Arg::get_long);
    let all = all.map(|long| format!("--{long}"));
    all.filter(|text| text.starts_with(begin) && !given.contains(text))
        .collect()
}

/// How many words are neither options nor their values.
fn places(command: &Command, words: &[String]) -> usize {
    let mut count = 0;
    let mut is_value = false;
    for word in words {
        let found = option(command, word);
        count += usize::from(!is_value && !word.starts_with("--"));
        is_value = found.is_some_and(|option| {
            let least = option.get_num_args().map_or(1, |count| count.min_values());
            option.get_action().takes_values() && least > 0
        });
    }
    count
}

/// What an argument takes.
fn values(argument: &Arg, begin: &str, schema: &Schema) -> Completion {
    let known = argument.get_possible_values();
    let mut texts: Vec<String> = known
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    let name = argument.get_value_names().and_then(|names| names.first());
    let name = name.map(ToString::to_string);
    if name.as_deref() == Some("COL") {
        let columns = schema.rows.iter().flat_map(|rows| rows.columns);
        texts.extend(columns.map(|column| column.key.to_owned()));
        texts.sort_unstable();
        texts.dedup();
    }
    texts.retain(|text| text.starts_with(begin));
    // A name that is about to be given is nobody's yet, and a filter may be about any column.
    let is_free = matches!(argument.get_long(), Some("as" | "filter"));
    let value = name.filter(|name| !is_free && known.is_empty() && name != "COL");
    Completion {
        start: 0,
        texts,
        value,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser, ValueEnum};
    use diaphane_report::{Column, Rows, Show};

    use super::*;

    #[derive(Debug, Clone, Copy, ValueEnum)]
    enum Choice {
        First,
        Second,
    }

    #[derive(Debug, Parser)]
    #[command(disable_help_flag = true)]
    struct Probe {
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[arg(long)]
        choice: Option<Choice>,
        #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3")]
        stack: Option<usize>,
        #[arg(long, value_name = "COL")]
        sort: Option<String>,
        #[arg(long)]
        json: bool,
    }

    const COLUMNS: &[Column] = &[
        Column::new("size", Show::Bytes, 0),
        Column::new("name", Show::Text, 1),
    ];
    const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, &[])], &[]);

    fn completed(line: &str) -> (usize, String, Option<String>) {
        let found = complete(line, &Probe::command(), &SCHEMA);
        (found.start, found.texts.join(" "), found.value)
    }

    #[test]
    fn what_may_stand_there_is_offered_and_nothing_else() {
        let name = || Some("NAME".to_owned());
        for (line, start, texts, value) in [
            ("--s", 0, "--stack --sort", None),
            ("a --js", 2, "--json", None),
            ("--json --", 7, "--choice --stack --sort", None),
            ("--choice ", 9, "first second", None),
            ("--choice s", 9, "second", None),
            ("--choice=f", 9, "first", None),
            ("--sort n", 7, "name", None),
            ("--stack --j", 8, "--json", Some("N".to_owned())),
            ("ar", 0, "", name()),
            ("'é b' ar", 6, "", name()),
            ("--json x", 7, "", name()),
            ("ar # --", 0, "", None),
        ] {
            assert_eq!(completed(line), (start, texts.to_owned(), value), "{line}");
        }
    }
}
