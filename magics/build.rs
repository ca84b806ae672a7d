//! Lets the tests of this crate find the libpython they were linked to, tells the crate for which Python it is built, and
//! puts the pages of the diagnoses and the glossary into it.

#[path = "cpython/link_python.rs"]
mod link_python;

use std::fmt::Write;
use std::{env, fs};

/// The folder with a page for each diagnosis, and the glossary beside it; seen from this one, in which cargo runs us.
const DOCS: &str = "../docs";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={DOCS}/diagnoses");
    println!("cargo:rerun-if-changed={DOCS}/glossary.md");
    pyo3_build_config::use_pyo3_cfgs();
    link_python::link();
    let folder =
        fs::canonicalize(format!("{DOCS}/diagnoses")).expect("docs/diagnoses is in the repository");
    let pages = fs::read_dir(&folder).expect("a readable folder");
    let names = pages.map(|page| page.expect("a readable folder").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    let mut list = String::from("&[");
    for name in names {
        if let Some(code) = name.strip_suffix(".md").filter(|code| *code != "README") {
            let path = folder.join(&name);
            write!(list, "({code:?}, include_str!({path:?})),").expect("text can be written");
        }
    }
    list.push(']');
    let text =
        fs::read_to_string(format!("{DOCS}/glossary.md")).expect("docs/glossary.md is there");
    let words = format!("&{:?}", glossary(&text));
    let folder = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(format!("{folder}/pages.rs"), list).expect("the folder of the build can be written");
    fs::write(format!("{folder}/glossary.rs"), words)
        .expect("the folder of the build can be written");
}

/// Title and plain text of each entry, which is a paragraph that begins with its title in bold.
fn glossary(text: &str) -> Vec<(String, String)> {
    let entry = |paragraph: &str| {
        let (title, text) = paragraph.trim().strip_prefix("**")?.split_once(".** ")?;
        Some((title.to_owned(), plain(&text.replace('\n', " "))))
    };
    text.split("\n\n").filter_map(entry).collect()
}

/// A text without marks, and with links as their words.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let (head, words) = before.rsplit_once('[').expect("a link has a beginning");
        plain += head;
        plain += words;
        rest = after.split_once(')').expect("a link has an end").1;
    }
    (plain + rest).replace(['`', '*'], "")
}
