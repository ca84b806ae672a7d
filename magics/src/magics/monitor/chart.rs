//! The whole time as a picture: the CPUs that each thread used, memory, and who had the GIL, one below the other.

use diaphane_report::view::{bytes, time};
use diaphane_report::{Area, Drawing, Ink};

use super::picture::scale;
use super::record::{MonitoredThread, Point, Record, spans};

/// Where the time begins and how wide it is, in pixels.
const LEFT: f64 = 70.0;
const WIDTH: f64 = 560.0;
/// How high the parts are, and what stands between them.
const CPUS: f64 = 80.0;
const MEMORY: f64 = 48.0;
const GIL: f64 = 14.0;
const GAP: f64 = 12.0;
const LINE: f64 = 16.0;
/// How many places the time has.
const PLACES: usize = 120;
/// So many threads have a tone of their own.
const TONES: usize = 6;

/// Draws a recording, with the busy threads in their order.
pub(super) fn drawing(record: &Record, threads: &[&MonitoredThread]) -> Drawing {
    let points = record.fewer(PLACES);
    let tinted = &threads[..threads.len().min(TONES)];
    let legend = LINE * tinted.len().div_ceil(2) as f64;
    let height = CPUS + MEMORY + GIL + 2.0 * GAP + 2.0 * LINE + legend;
    let label = "CPUs, memory and the holder of the GIL over time";
    let mut drawing = Drawing::new(LEFT + WIDTH + 10.0, height, label);
    let whole = record.elapsed_ns().max(1) as f64;
    let x = |at_ns: u64| LEFT + WIDTH * at_ns as f64 / whole;
    cpus(&mut drawing, record, &points, tinted, &x);
    memory(&mut drawing, record, &points, &x);
    gil(&mut drawing, record, &points, tinted, &x);
    let bottom = CPUS + MEMORY + GIL + 2.0 * GAP + LINE;
    drawing.text((LEFT, bottom), "0 s", Ink::Faint);
    drawing.text_before((LEFT + WIDTH, bottom), &time(whole), Ink::Faint);
    for (place, thread) in tinted.iter().enumerate() {
        let at = (
            LEFT + (place % 2) as f64 * WIDTH / 2.0,
            bottom + LINE * (place / 2 + 1) as f64,
        );
        let square = Area {
            x: at.0,
            y: at.1 - 9.0,
            width: 9.0,
            height: 9.0,
        };
        drawing.area(square, Ink::Tone(place), 1.0, "");
        let name = record.name_of(thread.tid);
        drawing.label((at.0 + 14.0, at.1), WIDTH / 2.0 - 24.0, &name, Ink::Text);
    }
    drawing
}

/// What each thread used, one upon the other; what is above them is the rest.
fn cpus(
    drawing: &mut Drawing,
    record: &Record,
    points: &[Point],
    tinted: &[&MonitoredThread],
    x: &impl Fn(u64) -> f64,
) {
    let usable = record.usable_cpus.unwrap_or(1) as f64;
    let whole = spans(points).map(|(one, lasted)| one.cpu_ns as f64 / lasted as f64);
    let most = whole.fold(usable, f64::max);
    let mut floor = vec![0.0; points.len()];
    let parts = tinted
        .iter()
        .enumerate()
        .map(|(place, one)| (Some(one.tid), Ink::Tone(place)));
    for (tid, ink) in parts.chain([(None, Ink::Faint)]) {
        let mut edges = Vec::new();
        for ((one, lasted), below) in spans(points).zip(&mut floor) {
            let share = |used: u64| used as f64 / lasted as f64;
            let above = match tid {
                Some(tid) => *below + share(one.used_by(tid)),
                None => share(one.cpu_ns).max(*below),
            };
            let y = |cpus: f64| CPUS - CPUS * (cpus / most).min(1.0);
            // Each point is a step as wide as it lasted.
            let begins = x(one.end_ns.saturating_sub(lasted));
            edges.push((begins, y(above), y(*below)));
            edges.push((x(one.end_ns), y(above), y(*below)));
            *below = above;
        }
        let title = tid.map_or_else(|| "other threads".to_owned(), |tid| record.name_of(tid));
        let opacity = if tid.is_some() { 0.85 } else { 0.35 };
        drawing.band(edges, ink, opacity, &title);
    }
    frame(drawing, 0.0, CPUS, &format!("{:.0} %", most * 100.0), "CPU");
}

fn memory(drawing: &mut Drawing, record: &Record, points: &[Point], x: &impl Fn(u64) -> f64) {
    let top = CPUS + GAP;
    let (least, most) = scale(record);
    let y =
        |rss: u64| top + MEMORY - MEMORY * ((rss as f64 - least) / (most - least)).clamp(0.0, 1.0);
    let known = points.iter().filter_map(|one| Some((one.end_ns, one.rss?)));
    let first = record.rss.first.map(|rss| (0, rss));
    let edges = first
        .into_iter()
        .chain(known)
        .map(|(at, rss)| (x(at), y(rss), top + MEMORY));
    let title = format!("memory: {} at most", bytes(most));
    drawing.band(edges.collect(), Ink::Tone(7), 0.6, &title);
    frame(drawing, top, MEMORY, &bytes(most), &bytes(least));
}

/// One box for each time that somebody had it at most of the looks.
fn gil(
    drawing: &mut Drawing,
    record: &Record,
    points: &[Point],
    tinted: &[&MonitoredThread],
    x: &impl Fn(u64) -> f64,
) {
    let top = CPUS + MEMORY + 2.0 * GAP;
    let area = |from: f64, to: f64| Area {
        x: from,
        y: top,
        width: to - from,
        height: GIL,
    };
    drawing.area(
        area(LEFT, LEFT + WIDTH),
        Ink::Ground,
        1.0,
        "nobody had the GIL",
    );
    let mut from = LEFT;
    for run in points.chunk_by(|one, next| one.usual_holder() == next.usual_holder()) {
        let to = run.last().map_or(from, |last| x(last.end_ns));
        if let Some(holder) = run[0].usual_holder() {
            let place = tinted.iter().position(|one| one.tid == holder);
            let (ink, opacity) = place.map_or((Ink::Faint, 0.5), |place| (Ink::Tone(place), 0.85));
            let title = format!("{} had the GIL", record.name_of(holder));
            drawing.area(area(from, to), ink, opacity, &title);
        }
        from = to;
    }
    drawing.text_before((LEFT - 6.0, top + 11.0), "GIL", Ink::Faint);
}

/// The ground line of a part, and what its height means.
fn frame(drawing: &mut Drawing, top: f64, height: f64, most: &str, least: &str) {
    let bottom = top + height;
    drawing.line((LEFT, bottom), (LEFT + WIDTH, bottom), Ink::Faint);
    drawing.text_before((LEFT - 6.0, top + 10.0), most, Ink::Faint);
    drawing.text_before((LEFT - 6.0, bottom), least, Ink::Faint);
}
