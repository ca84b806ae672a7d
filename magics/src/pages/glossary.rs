//! The glossary of the documentation, as the kernel carries it: which of its words stand in a report, and what they mean.

use diaphane_report::{Column, Report};

/// Each entry: its title, such as `Dynamic linker (loader, ld.so)`, and what it says, in plain words.
const ENTRIES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/glossary.rs"));

/// What is asked for to see all of it.
pub(crate) const ALL: &str = "glossary";

/// The names of an entry.
fn names(title: &str) -> impl Iterator<Item = &str> {
    let names = title.split([',', '(', ')']).map(str::trim);
    names.filter(|name| !name.is_empty())
}

/// The entries whose names stand among the titles of a report's columns, or in what is remarkable about it.
pub(crate) fn words_of(report: &Report) -> Vec<(&'static str, &'static str)> {
    let tables = report.tables.iter().map(|table| table.columns);
    let columns = tables.chain([report.columns]).flatten();
    let titles = columns.map(|column: &Column| column.title.to_lowercase());
    let found = report.diagnoses.iter().map(|one| one.title.to_lowercase());
    let texts: Vec<String> = titles.chain(found).collect();
    let stands = |title: &str| {
        names(title).any(|name| {
            texts
                .iter()
                .any(|text| has_word(text, &name.to_lowercase()))
        })
    };
    let entries = ENTRIES.iter().copied();
    entries.filter(|(title, _)| stands(title)).collect()
}

/// Whether a name stands in a text as a word of its own, or as more than one of it.
fn has_word(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(start, _)| {
        let ends =
            |letter: Option<char>| !letter.is_some_and(|one| one.is_alphanumeric() || one == '_');
        let rest = &text[start + name.len()..];
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        ends(text[..start].chars().next_back()) && ends(rest.chars().next())
    })
}

/// The entries of a name, or all of them, as Markdown.
pub(super) fn page(wanted: &str) -> Option<Vec<String>> {
    let is_wanted =
        |title: &str| wanted == ALL || names(title).any(|name| name.eq_ignore_ascii_case(wanted));
    let entries = ENTRIES.iter().filter(|(title, _)| is_wanted(title));
    let lines = entries.flat_map(|(title, text)| [format!("**{title}.** {text}"), String::new()]);
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then_some(lines)
}

/// All names, for whoever has mistyped one.
pub(super) fn all_names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().flat_map(|(title, _)| names(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_plain_words() {
        assert!(ENTRIES.len() > 30);
        for (title, text) in ENTRIES {
            assert!(
                !text.contains(['`', '*']) && !text.contains("](") && text.ends_with('.'),
                "{title}: {text}"
            );
        }
    }

    #[test]
    fn words_are_found_whole() {
        assert!(has_word("the gil is held", "gil") && has_word("sonames", "soname"));
        assert!(!has_word("agile", "gil") && !has_word("rss_delta", "rss"));
        assert!(page("LOADER").unwrap()[0].starts_with("**Dynamic linker"));
        assert!(page("no such word").is_none());
    }
}
