//! Who needs whom, as a tree; and the chain of causes that brought one library.

use std::collections::{HashMap, HashSet};

use pyo3::prelude::*;

use crate::error::Error;
use crate::libraries::inventory::LibraryEntry;
use crate::libraries::names::stem;
use crate::magic::Context;
use diaphane_report::Report;
use diaphane_report::spelling::did_you_mean;

/// How many libraries one question may be about.
const MOST: usize = 8;

/// The listed libraries that no other listed one needs, each with what it needs below it.
pub(super) fn tree(listed: &[&LibraryEntry], items: &[LibraryEntry]) -> Vec<String> {
    let links = Links::of(items);
    let shown: HashSet<usize> = listed
        .iter()
        .filter_map(|item| position(item, items))
        .collect();
    let common = links.closure(0);
    let is_root = |index: &usize| {
        let needed = shown
            .iter()
            .any(|&other| other != *index && links.needs[other].contains(index));
        !needed || *index == 0
    };
    let mut roots: Vec<usize> = shown.iter().copied().filter(is_root).collect();
    roots.sort_unstable();
    let mut growth = Growth {
        items,
        links: &links,
        common: &common,
        seen: HashSet::new(),
        lines: Vec::new(),
    };
    for root in roots {
        growth.grow(root, "", "", root == 0);
    }
    let left_out = common
        .iter()
        .filter(|&&index| index != 0 && !growth.seen.contains(&index));
    let mut left_out: Vec<&str> = left_out
        .map(|&index| items[index].facts.name.as_str())
        .collect();
    left_out.sort_unstable();
    if !left_out.is_empty() {
        growth.lines.push(format!(
            "(without what the program itself needs: {})",
            left_out.join(", ")
        ));
    }
    growth.lines
}

fn position(item: &LibraryEntry, items: &[LibraryEntry]) -> Option<usize> {
    items.iter().position(|other| std::ptr::eq(item, other))
}

/// What each library needs, by index.
struct Links {
    needs: Vec<Vec<usize>>,
}

impl Links {
    fn of(items: &[LibraryEntry]) -> Self {
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            for name in item.facts.image.soname.iter().chain([&item.facts.name]) {
                by_name.entry(name).or_insert(index);
            }
        }
        let needs = |item: &LibraryEntry| {
            let names = item.facts.image.needed.iter();
            names
                .filter_map(|name| by_name.get(name.as_str()).copied())
                .collect()
        };
        Self {
            needs: items.iter().map(needs).collect(),
        }
    }

    /// A library with all that it needs, directly or not.
    fn closure(&self, start: usize) -> HashSet<usize> {
        let mut found = HashSet::from([start]);
        let mut open = vec![start];
        while let Some(next) = open.pop() {
            let needs = self.needs.get(next).into_iter().flatten();
            open.extend(needs.copied().filter(|&index| found.insert(index)));
        }
        found
    }
}

struct Growth<'a> {
    items: &'a [LibraryEntry],
    links: &'a Links,
    common: &'a HashSet<usize>,
    seen: HashSet<usize>,
    lines: Vec<String>,
}

impl Growth<'_> {
    fn grow(&mut self, index: usize, first: &str, rest: &str, with_common: bool) {
        let is_new = self.seen.insert(index);
        let children: Vec<usize> = self.links.needs[index]
            .iter()
            .copied()
            .filter(|child| with_common || !self.common.contains(child))
            .collect();
        let more = if is_new || children.is_empty() {
            ""
        } else {
            " …"
        };
        self.lines
            .push(format!("{first}{}{more}", label(&self.items[index])));
        if !is_new {
            return;
        }
        for (place, &child) in children.iter().enumerate() {
            let (own, below) = match place + 1 == children.len() {
                true => ("└─ ", "   "),
                false => ("├─ ", "│  "),
            };
            self.grow(
                child,
                &format!("{rest}{own}"),
                &format!("{rest}{below}"),
                with_common,
            );
        }
    }
}

/// The name with its package and, of what was searched for, the rule by which it was found.
fn label(item: &LibraryEntry) -> String {
    let mut label = item.facts.name.clone();
    label.extend(item.origin().map(|origin| format!(" ({origin})")));
    label.extend(
        item.requester
            .and_then(|_| item.found_by())
            .map(|rule| format!(", {rule}")),
    );
    label
}

/// The libraries that a name means: the whole name or stem if there is one, else a part of it.
pub(super) fn find(wanted: &str, items: &[LibraryEntry]) -> Result<Vec<usize>, Error> {
    let wanted = wanted.to_lowercase();
    let select = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let all = items.iter().enumerate();
        all.filter(|(_, item)| fits(&item.facts.name.to_lowercase()))
            .map(|(index, _)| index)
            .collect()
    };
    let mut found = select(&|name| name == wanted || stem(name) == wanted);
    if found.is_empty() {
        found = select(&|name| name.contains(&wanted));
    }
    match found.len() {
        0 => {
            let meant = did_you_mean(&wanted, items.iter().map(|item| stem(&item.facts.name)));
            Err(Error::Usage(format!(
                "%loaded_libs: --why: no loaded library is called {wanted:?}{meant}"
            )))
        }
        1..=MOST => Ok(found),
        many => Err(Error::Usage(format!(
            "%loaded_libs: --why: {many} libraries have {wanted:?} in their names; give more of the one that you mean"
        ))),
    }
}

/// The libraries with those for which they were loaded.
pub(super) fn causes(found: Vec<usize>, items: &[LibraryEntry]) -> HashSet<usize> {
    let up = |start: usize| std::iter::successors(Some(start), |&index| items[index].requester);
    found.into_iter().flat_map(up).collect()
}

/// Writes the chain of causes of each library that is meant, from the cell to the file.
pub(super) fn why(
    report: &mut Report,
    wanted: &str,
    items: &[LibraryEntry],
    context: &Context<'_, '_>,
) -> Result<(), Error> {
    for index in find(wanted, items)? {
        let mut chain: Vec<usize> =
            std::iter::successors(Some(index), |&index| items[index].requester).collect();
        chain.reverse();
        let lines = &mut report.listing;
        lines.push(items[index].facts.name.clone());
        let first = &items[chain[0]];
        lines.extend(
            asked(first, items, context)
                .into_iter()
                .map(|line| format!("  {line}")),
        );
        for pair in chain.windows(2) {
            let item = &items[pair[1]];
            let how = item
                .found_by()
                .unwrap_or_else(|| "a rule that is not known".into());
            lines.push(format!("  needs {}, found by {how}", item.facts.name));
        }
        lines.push(format!(
            "  {}{}",
            items[index].path(),
            items[index]
                .origin()
                .map(|origin| format!(" ({origin})"))
                .unwrap_or_default()
        ));
    }
    Ok(())
}

/// Where the chain begins: the user's line and the modules behind it.
fn asked(item: &LibraryEntry, items: &[LibraryEntry], context: &Context<'_, '_>) -> Vec<String> {
    let name = &item.facts.name;
    let by = item.loaded_by(items);
    let Some(load) = &item.load else {
        let start = match (item.cell(), by) {
            (Some(cell), Some(by)) => format!("In[{cell}]: {by}"),
            (Some(cell), None) => format!("In[{cell}], nobody is known to have asked for it"),
            (None, Some(by)) => by,
            (None, None) => "there since the program started, or loaded by native code".into(),
        };
        return vec![start, format!("loads {name}")];
    };
    let source = load.line.as_ref().map(|(file, number)| {
        let code = source(context, file, *number).unwrap_or_default();
        match load.line_cell {
            Some(cell) => format!("In[{cell}], line {number}: {code}"),
            None => format!("{file}, line {number}: {code}"),
        }
    });
    let lazy = load
        .lazy
        .as_ref()
        .map(|place| format!("{place} imports it lazily; loaded when its name was first used:"));
    let modules = load
        .chain
        .iter()
        .map(|module| format!("runs the module {module}"));
    let last = match item.module() {
        Some(module) => format!("loads the module {module}: {name}"),
        None => format!("{} loads {name}", by.unwrap_or_default()),
    };
    let source = lazy.into_iter().chain(source);
    source.chain(modules).chain([last]).collect()
}

/// The text of a line, as tracebacks show it.
fn source(context: &Context<'_, '_>, file: &str, line: u32) -> Option<String> {
    let py = context.user?.py;
    let text = || -> PyResult<String> {
        py.import("linecache")?
            .call_method1("getline", (file, line))?
            .extract()
    };
    text().ok().map(|text| text.trim().to_owned())
}
