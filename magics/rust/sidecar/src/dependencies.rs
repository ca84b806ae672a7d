//! What cells depend on: the lines that ask for it, and why it cannot be had.

use std::path::Path;

use diaphane_rust_protocol::Compile;

/// The version of `ndarray` that views are made with.
pub const NDARRAY: &str = "\"0.17\"";

/// A `:dep` line.
pub struct Wanted {
    /// From 0, in the cell.
    pub line: u32,
    pub name: String,
    pub config: String,
}

/// The lines of a manifest for what cells depend on, without arrays and with them.
pub fn manifest(support: &Path, more: &[(String, String)]) -> [String; 2] {
    let path = support.display().to_string();
    let lines: String = more
        .iter()
        .map(|(name, config)| format!("{name} = {config}\n"))
        .collect();
    let plain = format!("diaphane-cell = {{ path = {path:?} }}\n{lines}");
    let mut views =
        format!("diaphane-cell = {{ path = {path:?}, features = [\"ndarray\"] }}\n{lines}");
    if !more.iter().any(|(name, _)| name == "ndarray") {
        views += &format!("ndarray = {NDARRAY}\n");
    }
    [plain, views]
}

/// Takes the lines that begin with a colon out of a cell, or says which cannot be obeyed.
pub fn take_commands(cell: &mut Compile) -> Result<Vec<Wanted>, (u32, String)> {
    let mut wanted = Vec::new();
    let mut rest = Vec::new();
    for (number, line) in cell.source.lines().enumerate() {
        let Some(command) = line.strip_prefix(':') else {
            rest.push(line);
            continue;
        };
        let number = number as u32;
        let Some(dependency) = command.strip_prefix("dep ") else {
            let word = command.split_whitespace().next().unwrap_or_default();
            return Err((
                number,
                format!("`:{word}` is not known here; `:dep name = \"version\"` is"),
            ));
        };
        let (name, config) = match dependency.split_once('=') {
            Some((name, config)) => (name.trim(), config.trim()),
            None => (dependency.trim(), "\"*\""),
        };
        wanted.push(Wanted {
            line: number,
            name: name.to_owned(),
            config: config.trim_end_matches(';').to_owned(),
        });
        rest.push("");
    }
    cell.source = rest.join("\n");
    Ok(wanted)
}

/// Why there is no such dependency. Cargo says at the end of many lines that the network is at fault.
pub fn about_dependency(message: &str) -> String {
    let telling = short(message);
    let has = |words: &str| message.contains(words);
    if has("offline") {
        format!(
            "{telling}: CARGO_NET_OFFLINE is set, so there are only crates that were downloaded before"
        )
    } else if [
        "resolve host",
        "failed to download",
        "download of",
        "spurious network",
    ]
    .into_iter()
    .any(has)
    {
        format!(
            "{telling}: the registry cannot be reached, so there are only crates that were downloaded before"
        )
    } else {
        telling
    }
}

/// The telling line of a long message.
pub fn short(message: &str) -> String {
    let message = without_colours(message);
    let lines = || {
        message
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let telling = lines().find(|line| line.starts_with("error"));
    let line = telling.or_else(|| lines().next()).unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

/// A text without the sequences by which a terminal changes colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_is_plain() {
        let message = "cargo failed:\n\u{1b}[1m\u{1b}[92m    Updating\u{1b}[0m index\n\u{1b}[1m\u{1b}[91merror\u{1b}[0m: no matching package named `x` found\nlocation searched";
        assert_eq!(short(message), "no matching package named `x` found");
        assert_eq!(short("linker `cc` not found"), "linker `cc` not found");
    }
}
