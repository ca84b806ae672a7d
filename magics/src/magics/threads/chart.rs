//! The sample as a picture: one bar a thread, as long as its use of one CPU, in the tone of its owner; behind it, faint,
//! its waits for the GIL.

use std::collections::HashMap;

use diaphane_sight::threads::Thread;

use super::ThreadNames;
use super::sample::Sample;
use crate::stacks::snapshot::ProcessSnapshot;
use diaphane_report::{Area, Drawing, Ink};

/// The room for names, and for a whole CPU, in pixels.
const NAMES: f64 = 230.0;
const CPU: f64 = 360.0;
const LINE: f64 = 18.0;

/// Draws the threads in the order given.
pub(super) fn bars(
    snapshot: &ProcessSnapshot,
    threads: &[&Thread],
    names: &ThreadNames,
    sample: &Sample,
) -> Drawing {
    let height = LINE * (threads.len() + 1) as f64;
    let mut drawing = Drawing::new(NAMES + CPU + 60.0, height, "use of CPUs by thread");
    let mut tones: HashMap<Option<usize>, usize> = HashMap::new();
    for (place, thread) in threads.iter().enumerate() {
        let top = LINE * place as f64;
        let library = thread.owner.as_ref().map(|owner| owner.library);
        let count = tones.len();
        let tone = *tones.entry(library).or_insert(count);
        let name = names.get(&thread.tid).unwrap_or(&thread.comm);
        let owner = snapshot
            .owner(thread)
            .map_or("of unknown owner", |library| &library.name);
        let percent = sample.cpu_percent(thread.tid).unwrap_or(0.0);
        let waits = sample.gil_wait(thread.tid);
        let bar = |share: f64| Area {
            x: NAMES,
            y: top + 3.0,
            width: CPU * share.min(1.0),
            height: LINE - 6.0,
        };
        drawing.area(bar(1.0), Ink::Ground, 1.0, "one CPU");
        if waits > 0.0 {
            let title = format!("waits for the GIL {:.0} % of the time", waits * 100.0);
            drawing.area(bar(waits), Ink::Faint, 0.3, &title);
        }
        if percent > 0.0 {
            drawing.area(
                bar(percent / 100.0),
                Ink::Tone(tone),
                1.0,
                &format!("{name}, {owner}: {percent} %"),
            );
        }
        let label: String = name.chars().take(28).collect();
        drawing.text_before(
            (NAMES - 8.0, top + 13.0),
            &format!("{label} {}", thread.tid),
            Ink::Text,
        );
        drawing.text(
            (NAMES + CPU + 6.0, top + 13.0),
            &format!("{percent} %"),
            Ink::Text,
        );
    }
    let legend = format!(
        "use of one CPU over {} ms; faint: waiting for the GIL",
        sample.time.as_millis()
    );
    drawing.text((NAMES, height - 5.0), &legend, Ink::Faint);
    drawing
}
