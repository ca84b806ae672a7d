//! Rows of one kind as one: buffers at many places of a list that are alike in everything but where they lie.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::Listed;

/// So many of one kind become one row.
const MANY: usize = 8;

/// The listed buffers that one row stands for.
pub(super) struct FoldedRow {
    /// The name, with a range where the places differ: `parts[0..99].data`.
    pub name: String,
    /// Their numbers in the list.
    pub members: Vec<usize>,
}

/// The rows in the order of their first buffers; with `each` every buffer has its own.
pub(super) fn rows(listed: &[Listed<'_>], each: bool) -> Vec<FoldedRow> {
    let mut rows: Vec<FoldedRow> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (index, one) in listed.iter().enumerate() {
        let alike = alike(one).filter(|_| !each);
        let row = alike.map(|key| *known.entry(key).or_insert(rows.len()));
        match row.and_then(|row| rows.get_mut(row)) {
            Some(row) => row.members.push(index),
            None => rows.push(FoldedRow {
                name: one.name.clone(),
                members: vec![index],
            }),
        }
    }
    let mut shown = Vec::new();
    for row in rows {
        if row.members.len() >= MANY {
            let names = row.members.iter().map(|&index| listed[index].name.as_str());
            shown.push(FoldedRow {
                name: ranged(names),
                ..row
            });
        } else {
            let own = |&index: &usize| FoldedRow {
                name: listed[index].name.clone(),
                members: vec![index],
            };
            shown.extend(row.members.iter().map(own));
        }
    }
    shown.sort_by_key(|row| row.members[0]);
    shown
}

/// What buffers of one kind have in common; `None` for one that is at no place of a list.
fn alike(one: &Listed<'_>) -> Option<String> {
    let (texts, places) = places(&one.name);
    if places.is_empty() {
        return None;
    }
    let own = match &one.buffer {
        Ok(buffer) => format!(
            "{} {} {:?} {:?} {} {}",
            buffer.kind,
            buffer.dtype,
            buffer.layout.shape,
            buffer.layout.strides,
            buffer.writeable,
            one.mapping.as_deref().unwrap_or_default(),
        ),
        Err(error) => format!("{} {error}", one.kind),
    };
    let owner = &one.owner;
    let whole = owner.span.map(|span| span.len());
    // Owners that are named by their own places are alike too.
    let named = owner.name.as_deref().map(|name| self::places(name).0);
    let lines = &one.allocated_at;
    Some(format!(
        "{texts:?} {own} {} {} {whole:?} {named:?} {lines:?}",
        owner.kind, owner.is_self
    ))
}

/// A name without the numbers in its brackets, and these.
fn places(name: &str) -> (Vec<&str>, Vec<usize>) {
    let (mut texts, mut places) = (Vec::new(), Vec::new());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        let end = after.find(']').unwrap_or(after.len());
        match after[..end].parse() {
            Ok(place) => {
                texts.push(before);
                places.push(place);
            }
            Err(_) => texts.push(&rest[..before.len() + 1 + end]),
        }
        rest = after.get(end + 1..).unwrap_or_default();
    }
    texts.push(rest);
    (texts, places)
}

/// Names that differ in their numbers only, as one.
fn ranged<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut ranges: Vec<RangeInclusive<usize>> = Vec::new();
    let mut pattern = String::new();
    for name in names {
        let (_, places) = places(name);
        if ranges.is_empty() {
            ranges = places.iter().map(|&place| place..=place).collect();
            pattern = name.to_owned();
        }
        for (range, place) in ranges.iter_mut().zip(places) {
            *range = *range.start().min(&place)..=*range.end().max(&place);
        }
    }
    let mut ranges = ranges.into_iter();
    let mut text = String::new();
    let mut rest = pattern.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        let end = after.find(']').unwrap_or(after.len());
        let inside = match after[..end].parse::<usize>() {
            Ok(_) => ranges
                .next()
                .map_or_else(String::new, |range| range_text(&range)),
            Err(_) => after[..end].to_owned(),
        };
        text += &format!("{before}[{inside}]");
        rest = after.get(end + 1..).unwrap_or_default();
    }
    text + rest
}

fn range_text(range: &RangeInclusive<usize>) -> String {
    match range.start() == range.end() {
        true => range.start().to_string(),
        false => format!("{}..{}", range.start(), range.end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_brackets_become_ranges() {
        let names = [
            "d['a[0]'][3][1].w",
            "d['a[0]'][3][5].w",
            "d['a[0]'][3][0].w",
        ];
        assert_eq!(
            places("x[2]['k'][7].y"),
            (vec!["x", "['k'", "", ".y"], vec![2, 7])
        );
        assert_eq!(ranged(["x[2].y", "x[9].y"].into_iter()), "x[2..9].y");
        assert!(ranged(names.into_iter()).ends_with("[3][0..5].w"));
        assert!(places("plain.data").1.is_empty());
    }
}
