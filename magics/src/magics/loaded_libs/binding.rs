//! Who defines a symbol, who uses it, and which definition each use got: read from the tables that the linker filled.

use regex::Regex;
use serde::Serialize;

use super::matches;
use crate::error::Error;
use crate::libraries::inventory::LibraryEntry;
use crate::magic::Magic;
use diaphane_report::{Address, Report, fields, rows};

#[derive(Serialize)]
struct BindingRow<'a> {
    name: &'a str,
    role: &'static str,
    version: Option<String>,
    binding: &'static str,
    address: Option<Address>,
    bound_to: Option<String>,
    package: Option<&'a str>,
    path: Option<&'a str>,
}

pub(super) fn report(
    symbol: &str,
    items: &[LibraryEntry],
    pattern: Option<&Regex>,
) -> Result<Report, Error> {
    let mut found = Vec::new();
    for item in items {
        for export in item.facts.image.export(symbol) {
            found.push((
                item,
                "defines",
                export.version,
                export.is_weak,
                Some(export.address),
                export.targets,
            ));
        }
    }
    let definitions = found.len();
    for item in items {
        if let Some(import) = item.facts.image.import(symbol) {
            found.push((
                item,
                "uses",
                import.version,
                import.is_weak,
                None,
                import.targets,
            ));
        }
    }
    let uses = found.len() - definitions;
    let listed = found
        .into_iter()
        .filter(|(item, ..)| matches(pattern, item));
    let listed = listed.map(
        |(item, role, version, is_weak, address, targets)| BindingRow {
            name: &item.facts.name,
            role,
            version,
            binding: if is_weak { "weak" } else { "global" },
            address: address
                .or_else(|| targets.first().copied().filter(|&target| target != 0))
                .map(Address),
            bound_to: bound(item, role == "uses", &targets, items),
            package: item.fixed.package.as_ref().map(|one| one.name.as_str()),
            path: item.facts.path.as_deref(),
        },
    );
    Ok(Report {
        name: super::LoadedLibs::NAME,
        columns: super::columns::BINDINGS,
        rows: rows(listed)?,
        facts: fields(
            serde_json::json!({"symbol": symbol, "definitions": definitions, "uses": uses}),
        )?,
        summary: vec![summary(symbol, definitions, uses)],
        ..Report::default()
    })
}

/// The library in which the address lies that the linker wrote; before the first call it may be a stub of its own.
fn bound(
    item: &LibraryEntry,
    is_use: bool,
    targets: &[usize],
    items: &[LibraryEntry],
) -> Option<String> {
    let target = *targets.first()?;
    if target == 0 {
        return Some("nothing".into());
    }
    let home = items.iter().find(|other| {
        other
            .facts
            .segments
            .iter()
            .any(|piece| piece.span.contains(target))
    });
    Some(match home {
        Some(home) if std::ptr::eq(home, item) && is_use => "not bound yet".into(),
        Some(home) => home.facts.name.clone(),
        None => "code outside of all libraries".into(),
    })
}

fn summary(symbol: &str, definitions: usize, uses: usize) -> String {
    match (definitions, uses) {
        (0, 0) => format!("no loaded library defines or uses {symbol}"),
        _ => format!(
            "{symbol} is defined by {} and used by {}",
            libraries(definitions),
            libraries(uses)
        ),
    }
}

fn libraries(count: usize) -> String {
    match count {
        1 => "1 library".to_owned(),
        count => format!("{count} libraries"),
    }
}
