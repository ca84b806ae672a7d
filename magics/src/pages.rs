//! The pages of the diagnoses and the glossary, which the kernel carries with it: whoever reads a report has no repository
//! at hand.

pub(crate) mod glossary;

use crate::error::Error;
use diaphane_report::Report;
use diaphane_report::spelling::did_you_mean;

/// Each page by its code.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// What a diagnosis is called: the title of its page.
pub(crate) fn titles() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.iter().map(|(code, page)| {
        let title = page.lines().next().unwrap_or_default();
        let title = title.split_once(": ").map_or(title, |(_, title)| title);
        (*code, title)
    })
}

/// The report that is the page of a diagnosis, or explains a word.
pub(crate) fn report(magic: &'static str, asked: &str) -> Result<Report, Error> {
    let wanted = asked.to_uppercase();
    let page = PAGES.iter().find(|(code, _)| *code == wanted);
    let page = page.map(|(_, page)| page.lines().map(without_links).collect());
    let Some(listing) = page.or_else(|| glossary::page(asked)) else {
        let codes = PAGES.iter().map(|(code, _)| *code);
        let known: Vec<&str> = codes.chain(glossary::all_names()).collect();
        let meant = did_you_mean(&wanted, known.iter().copied());
        let meant = if meant.is_empty() {
            did_you_mean(asked, known)
        } else {
            meant
        };
        return Err(Error::Usage(format!(
            "%{magic}: {asked:?} is no code of a diagnosis, such as B001, and no word of the glossary{meant}; `%diaphane` \
             alone lists what can be asked, `%diaphane codes` all codes, and `%diaphane glossary` shows all words"
        )));
    };
    Ok(Report {
        name: magic,
        listing,
        is_markdown: true,
        ..Report::default()
    })
}

/// A line in which a link to another page, which leads nowhere from a notebook, is its text alone.
fn without_links(line: &str) -> String {
    let mut rest = line;
    let mut kept = String::new();
    while let Some((before, link)) = rest.split_once('[') {
        kept += before;
        let Some((text, (target, after))) = link
            .split_once("](")
            .and_then(|(text, target)| Some((text, target.split_once(')')?)))
            .filter(|(text, _)| !text.contains('['))
        else {
            kept.push('[');
            rest = link;
            continue;
        };
        match target.contains("://") {
            true => kept += &format!("[{text}]({target})"),
            false => kept += text,
        }
        rest = after;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_opens_with_its_code() {
        assert!(PAGES.len() > 40);
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}: ")), "{code}");
        }
    }

    #[test]
    fn links_between_pages_are_text() {
        let line = "a [b](B002.md) and [c](https://c.org/), x[0] [d";
        assert_eq!(without_links(line), "a b and [c](https://c.org/), x[0] [d");
    }
}
