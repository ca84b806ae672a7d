//! Who shares the memory of what was asked, in a sentence or two.

use diaphane_report::Answer;

use super::row::BufferRow;

/// So many buffers are told of one by one, and so many names are listed.
const FEW: usize = 3;

/// `None` where nothing that was asked has shown its memory.
pub(super) fn of(rows: &[BufferRow<'_>]) -> Option<Answer> {
    let shown: Vec<&BufferRow<'_>> = rows
        .iter()
        .filter(|row| row.shares_with.is_some())
        .collect();
    let sentences = match shown.len() {
        0 => return None,
        1..=FEW => shown.iter().map(|row| one(row)).collect(),
        _ => vec![many(&shown)],
    };
    Some(Answer {
        sentences,
        table: None,
    })
}

fn one(row: &BufferRow<'_>) -> String {
    let shares: &[&str] = row.shares_with.as_deref().unwrap_or_default();
    let name = row.name;
    let Some(holder) = &row.holder else {
        return match shares {
            [] if row.is_alone() => format!("{name} owns its memory, and shares it with nobody."),
            [] => format!("{name} owns its memory; not all variables were asked."),
            _ => format!(
                "{name} owns its memory, and shares it with {}.",
                named(shares)
            ),
        };
    };
    let Some(owner) = row.owner else {
        return match shares {
            [] if row.is_alone() => {
                format!("{name} shares its memory with nobody; it belongs to a nameless {holder}.")
            }
            [] => format!("{name} is a view of a nameless {holder}; not all variables were asked."),
            _ => format!(
                "{name} shares its memory with {}; it belongs to a nameless {holder}.",
                named(shares)
            ),
        };
    };
    let others: Vec<&str> = shares.iter().copied().filter(|one| *one != owner).collect();
    match others.as_slice() {
        [] => format!("{name} is a view of {owner}."),
        _ => format!(
            "{name} is a view of {owner}, and shares memory with {}, too.",
            named(&others)
        ),
    }
}

fn many(rows: &[&BufferRow<'_>]) -> String {
    let names = |shares: bool| -> Vec<&str> {
        let is_meant = |row: &&&BufferRow<'_>| {
            if shares {
                !row.is_alone()
            } else {
                row.is_alone()
            }
        };
        rows.iter().filter(is_meant).map(|row| row.name).collect()
    };
    match (names(true).as_slice(), names(false).as_slice()) {
        ([], alone) => format!("None of the {} buffers shares its memory.", alone.len()),
        (sharing, []) => format!("All {} buffers share memory with others.", sharing.len()),
        (sharing, alone) => {
            format!(
                "{} share memory with others; {} with nobody.",
                named(sharing),
                named(alone)
            )
        }
    }
}

/// Names as one says them, and how many more.
pub(super) fn named(names: &[&str]) -> String {
    let more = format!("{} more", names.len().saturating_sub(FEW));
    let mut told: Vec<&str> = names.iter().take(FEW).copied().collect();
    if names.len() > FEW {
        told.push(&more);
    }
    match told.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}
