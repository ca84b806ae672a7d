//! Divides the line of a magic into words.

use clap::Command;

/// A line as words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub words: Vec<String>,
    /// Whether it ends with `;`.
    pub is_silent: bool,
}

/// Splits at blanks. Quotes group and vanish, except behind a bracket, where they are Python's: `d['x']`; a backslash is
/// kept, since it belongs to a regular expression. Behind a word that begins with `#` is a comment, unless that is the
/// value of the option before it; a `;` ends the line.
pub(super) fn split(line: &str, command: &Command) -> Result<Words, String> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<String> = None;
    // The quote that is open, and whether it is Python's.
    let mut quote: Option<(char, bool)> = None;
    // Behind the last letter that a quote has protected in this word.
    let mut protected = 0;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some((open, is_python)), _) if letter == open => {
                quote = None;
                let word = word.get_or_insert_default();
                word.extend(is_python.then_some(letter));
                protected = word.len();
            }
            (None, '"' | '\'') => {
                let word = word.get_or_insert_default();
                let is_python = word.ends_with('[');
                quote = Some((letter, is_python));
                word.extend(is_python.then_some(letter));
            }
            (None, blank) if blank.is_whitespace() => {
                words.extend(word.take().map(|word| Word { word, protected }));
                protected = 0;
            }
            (None, '#') if word.is_none() => {
                let is_value = letters.peek().is_some_and(|next| !next.is_whitespace())
                    && words.last().is_some_and(|last| last.wants_value(command));
                if !is_value {
                    break;
                }
                word = Some("#".into());
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word.map(|word| Word { word, protected }));
    if let Some((open, _)) = quote {
        return Err(format!("the quote {open} is not closed"));
    }
    let is_silent = end(&mut words);
    if words.iter().any(Word::ends) {
        return Err(
            "the line ends at the `;`; write what comes behind it on a line of its own".into(),
        );
    }
    let words = words.into_iter().map(|word| word.word).collect();
    Ok(Words { words, is_silent })
}

/// The words before the one that a line ends with, and that one as it is written; nothing in a comment.
pub(super) fn written(line: &str, command: &Command) -> Option<(Vec<String>, String)> {
    let mut begin = 0;
    let mut quote = None;
    for (place, letter) in line.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, blank) if blank.is_whitespace() => begin = place + blank.len_utf8(),
            _ => {}
        }
    }
    let (before, last) = line.split_at(begin);
    let words = split(before, command).ok()?.words;
    // Whether a word that follows would be heard.
    let probe = split(&format!("{before}x"), command).ok()?.words;
    let is_heard = probe.len() > words.len() && !last.starts_with('#');
    is_heard.then(|| (words, last.to_owned()))
}

/// A word, and where the part of it ends that stood in quotes.
struct Word {
    word: String,
    protected: usize,
}

impl Word {
    /// Whether a `;` stands at its end.
    fn ends(&self) -> bool {
        self.word.len() > self.protected && self.word.ends_with(';')
    }

    /// Whether it is an option whose value comes next.
    fn wants_value(&self, command: &Command) -> bool {
        let long = self.word.strip_prefix("--");
        let mut options = command.get_arguments();
        options.any(|option| option.get_long() == long && option.get_action().takes_values())
    }
}

/// Takes the `;` from the end of a line. Whether there was one.
fn end(words: &mut Vec<Word>) -> bool {
    let mut is_silent = false;
    while let Some(last) = words.last_mut().filter(|last| last.ends()) {
        is_silent = true;
        last.word.pop();
        if last.word.is_empty() && last.protected == 0 {
            words.pop();
        }
    }
    is_silent
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Probe {
        #[arg(long)]
        filter: Option<String>,
        #[arg(long)]
        json: bool,
    }

    fn words(line: &str) -> Result<Vec<String>, String> {
        split(line, &<Probe as clap::CommandFactory>::command()).map(|line| line.words)
    }

    #[test]
    fn words_keep_backslashes_and_lose_quotes() {
        assert_eq!(
            words(r#"a\.so "b c" '' --x='y z'"#).unwrap(),
            [r"a\.so", "b c", "", "--x=y z"]
        );
        assert_eq!(words("d['a b'].x c").unwrap(), ["d['a b'].x", "c"]);
        assert!(words("'a").unwrap_err().contains("not closed"));
    }

    #[test]
    fn a_comment_is_no_word_and_a_value_no_comment() {
        for (line, expected) in [
            ("# all of it", &[][..]),
            ("a  # 'b", &["a"]),
            ("a#b '#c' --filter=#d", &["a#b", "#c", "--filter=#d"]),
            ("--filter #e # f", &["--filter", "#e"]),
            ("--filter # f", &["--filter"]),
            ("--json #g", &["--json"]),
            ("d['#']", &["d['#']"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn a_semicolon_at_the_end_is_no_word() {
        let of = |line: &str| {
            let line = split(line, &<Probe as clap::CommandFactory>::command())?;
            Ok::<_, String>((line.words.join("|"), line.is_silent))
        };
        for (line, rest, is_silent) in [
            (";", "", true),
            ("a --top 3;", "a|--top|3", true),
            ("a ; # why", "a", true),
            ("'a;'", "a;", false),
            ("'';", "", true),
            ("a;b", "a;b", false),
            ("a # ;", "a", false),
        ] {
            assert_eq!(of(line), Ok((rest.to_owned(), is_silent)), "{line}");
        }
        assert!(of("a; x = 1").unwrap_err().contains("line of its own"));
    }
}
