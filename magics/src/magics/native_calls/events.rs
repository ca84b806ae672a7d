//! The events of a log that stand for something: without their words, and without those that were written twice.

use diaphane_trace::event::{Event, Log};

/// The events in order, each with its place in the log.
pub(super) fn calls(log: &Log) -> impl Iterator<Item = (usize, &Event)> {
    let mut next = 0;
    let mut before: Option<&Event> = None;
    let all = std::iter::from_fn(move || {
        let (index, event) = (next, log.events.get(next)?);
        next += 1 + event.extra as usize;
        let known = before.replace(event);
        let is_again = known.is_some_and(|before| is_same_call(before, event));
        Some((!is_again).then_some((index, event)))
    });
    all.flatten()
}

/// Whether a call was seen twice: on the way to the function, with its arguments, and at its entry.
fn is_same_call(on_the_way: &Event, entry: &Event) -> bool {
    let place = |event: &Event| (event.id, event.stack, event.back);
    on_the_way.extra > 0 && entry.extra == 0 && place(on_the_way) == place(entry)
}

#[cfg(test)]
mod tests {
    use diaphane_trace::event::kind;

    use super::*;

    #[test]
    fn a_call_with_arguments_counts_once() {
        let event = |id, extra| Event {
            id,
            extra,
            stack: 64,
            ..Event::default()
        };
        let words = event(kind::WORDS, 0);
        let log = Log {
            // Through a table, then directly, then through the table again, and another function.
            events: vec![
                event(7, 1),
                words,
                event(7, 0),
                event(7, 0),
                event(7, 1),
                words,
                event(7, 0),
                event(8, 0),
            ],
            ..Log::default()
        };
        let found: Vec<usize> = calls(&log).map(|(index, _)| index).collect();
        assert_eq!(found, [0, 3, 4, 7]);
    }
}
