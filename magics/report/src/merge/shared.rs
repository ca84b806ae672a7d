//! What several workers have in common, each thing once; and how workers are named.

use std::collections::HashMap;

/// No more workers are named one by one.
pub(super) const NAMED: usize = 3;

/// Things with the workers that have them, in the order in which they came first.
pub(super) struct Shared<T> {
    places: HashMap<String, usize>,
    pub items: Vec<(T, Vec<usize>)>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            items: Vec::new(),
        }
    }
}

impl<T> Shared<T> {
    /// Notes that a worker has the thing of this key, which is made where it is new.
    pub(super) fn add(&mut self, worker: usize, key: &str, make: impl FnOnce() -> T) -> &mut T {
        let place = self.places.get(key).copied().unwrap_or_else(|| {
            self.places.insert(key.to_owned(), self.items.len());
            self.items.push((make(), Vec::new()));
            self.items.len() - 1
        });
        let (thing, workers) = &mut self.items[place];
        if workers.last() != Some(&worker) {
            workers.push(worker);
        }
        thing
    }
}

impl Shared<String> {
    /// Notes a text; such that differ in numbers of processes only are one.
    pub(super) fn add_text(&mut self, worker: usize, text: &str) {
        self.add(worker, &without_numbers(text), || text.to_owned());
    }

    /// Each text behind those that have it; no more than so many.
    pub(super) fn told(&self, names: &[String], of: usize, most: usize) -> Vec<String> {
        let tell =
            |(text, workers): &(String, Vec<usize>)| format!("{}: {text}", who(workers, names, of));
        let mut lines: Vec<String> = self.items.iter().take(most).map(tell).collect();
        let more = self.items.len().saturating_sub(most);
        if more > 0 {
            lines.push(format!("and {more} more of other words"));
        }
        lines
    }
}

/// Who has something: all or most of them as a count, few by their names.
pub(super) fn who(workers: &[usize], names: &[String], of: usize) -> String {
    let is_all = workers.len() == of && of > 1;
    match workers.len() > NAMED || is_all {
        true => format!("{} of {of}", workers.len()),
        false => some_names(workers, names),
    }
}

/// The names of workers, of many the first ones.
pub(super) fn some_names(workers: &[usize], names: &[String]) -> String {
    let some = workers
        .iter()
        .take(NAMED)
        .map(|index| names[*index].as_str());
    let some = some.collect::<Vec<_>>().join(", ");
    match workers.len().saturating_sub(NAMED) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}

/// The text with a star for each address and each long number, as of processes and threads: these are never the same in
/// two processes. What may be a part of a version stays.
pub(super) fn without_numbers(text: &str) -> String {
    const LONG: usize = 3;
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        plain += before;
        let is_hexadecimal = from.starts_with("0x");
        let end = match is_hexadecimal {
            true => 2 + span(&from[2..], |letter| letter.is_ascii_hexdigit()),
            false => span(from, |letter| letter.is_ascii_digit()),
        };
        let (number, behind) = from.split_at(end);
        let is_part = |rest: &str| rest.starts_with(|letter: char| letter.is_ascii_digit());
        let is_version = plain.ends_with('.') || behind.strip_prefix('.').is_some_and(is_part);
        plain += match is_hexadecimal || (number.len() >= LONG && !is_version) {
            true => "*",
            false => number,
        };
        rest = behind;
    }
    plain + rest
}

/// How many bytes of letters of a kind a text begins with.
fn span(text: &str, is_one: impl Fn(char) -> bool) -> usize {
    text.find(|letter: char| !is_one(letter))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_processes_are_left_out_and_versions_are_not() {
        let same = |text: &str| assert_eq!(without_numbers(text), text);
        same("numpy 2.10.123");
        same("2024.1 of 64 threads");
        assert_eq!(without_numbers("Dask-Threads-31234-1"), "Dask-Threads-*-1");
        assert_eq!(without_numbers("at 0x7f12ab, é 1234"), "at *, é *");
        assert_eq!(without_numbers("0x of 4711."), "* of *.");
    }

    #[test]
    fn few_are_named_and_many_counted() {
        let names: Vec<String> = (0..12).map(|number| format!("w{number}")).collect();
        assert_eq!(who(&[3], &names, 12), "w3");
        assert_eq!(who(&[3, 5], &names, 12), "w3, w5");
        assert_eq!(who(&(0..10).collect::<Vec<_>>(), &names, 12), "10 of 12");
        assert_eq!(who(&[0, 1], &names, 2), "2 of 2");
        assert_eq!(who(&[0], &names, 1), "w0");
        assert_eq!(
            some_names(&[0, 1, 2, 3, 4], &names),
            "w0, w1, w2 and 2 more"
        );
    }
}
