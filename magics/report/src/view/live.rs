//! A picture of a process at work, as HTML that takes the place of the one before.
//!
//! It has the same height whatever it shows, so that nothing below it moves: each part has its own, and what is longer is
//! cut. It follows the theme, holds no script, and everything in it is escaped. If no other one takes its place, it says
//! so by itself after a while: a notebook may be opened again in which it is the last that was stored.

use std::fmt::Write;
use std::time::Duration;

use crate::view::html::escape;
use crate::view::printable;
use crate::view::svg::outline;

/// What is shown.
#[derive(Debug, Clone, Default)]
pub struct LivePicture {
    /// What is watched, and for how long.
    pub title: String,
    /// Who holds the GIL, if somebody does.
    pub gil: Option<String>,
    /// What the code does or waits for.
    pub sentence: String,
    /// Use of CPUs, and of memory.
    pub gauges: [Gauge; 2],
    /// The threads that work most.
    pub threads: Vec<ThreadBar>,
    /// What is said about the other ones.
    pub rest: String,
}

/// A quantity now and before.
#[derive(Debug, Clone, Default)]
pub struct Gauge {
    /// What it is.
    pub name: &'static str,
    /// How much it is now.
    pub now: String,
    /// What the height of the line means.
    pub scale: String,
    /// How it was over time, from 0 to 1.
    pub line: Vec<f64>,
}

/// How much a thread works.
#[derive(Debug, Clone, Default)]
pub struct ThreadBar {
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// The part of one CPU that it uses.
    pub share: f64,
    /// Whether it holds the GIL.
    pub has_gil: bool,
}

/// Whether others will follow.
#[derive(Debug, Clone, Copy)]
pub enum Follows {
    /// One that does not come within this time does not come at all.
    Within(Duration),
    /// No more, for this reason.
    NoMore(&'static str),
}

/// How many threads have a row.
pub const THREADS: usize = 6;

const TEXT: &str = "var(--jp-content-font-color1,currentColor)";
const FAINT: &str = "var(--jp-content-font-color2,currentColor)";
const GROUND: &str = "var(--jp-layout-color2,#88888833)";
const EDGE: &str = "var(--jp-border-color2,#88888866)";
const CPU: &str = "var(--jp-brand-color1,#2196f3)";
const HELD: &str = "var(--jp-warn-color1,#f57c00)";
const CUT: &str = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap";
/// The heights of a line of text and of a gauge's line, in pixels.
const LINE: usize = 20;
const GAUGE: usize = 36;
/// The picture is as high as its parts, with the room around them.
const HEIGHT: usize = LINE * (5 + THREADS) + GAUGE + 42;

impl LivePicture {
    /// The picture as an HTML fragment.
    #[must_use]
    pub fn html(&self, follows: Follows) -> String {
        let mut html = format!(
            "<div class=\"dph-live\" role=\"group\" aria-label=\"{}\" style=\"box-sizing:border-box;height:{HEIGHT}px;\
             overflow:hidden;padding:8px 12px;border:1px solid {EDGE};border-radius:6px;font-size:13px;\
             line-height:{LINE}px;color:{TEXT};font-variant-numeric:tabular-nums;text-align:left\">",
            harmless(&self.title),
        );
        html += &self.head();
        html += &format!(
            "<div style=\"height:{}px;overflow:hidden;color:{FAINT}\" title=\"{sentence}\">{sentence}</div>",
            2 * LINE,
            sentence = harmless(&self.sentence),
        );
        html += "<div style=\"display:flex;gap:24px;margin:6px 0\">";
        html.extend(self.gauges.iter().map(Gauge::html));
        html += "</div>";
        let rows = self.threads.iter().take(THREADS).map(ThreadBar::html);
        let blank = format!("<div style=\"height:{LINE}px\"></div>");
        html.extend(rows.chain(std::iter::repeat(blank)).take(THREADS));
        html + &self.foot(follows) + "</div>"
    }

    fn head(&self) -> String {
        let gil = match &self.gil {
            Some(holder) => format!(
                "<span style=\"color:{HELD}\">●</span> {} has the GIL",
                harmless(holder)
            ),
            None => format!("<span style=\"color:{FAINT}\">○ nobody has the GIL</span>"),
        };
        format!(
            "<div style=\"display:flex;gap:16px;height:{LINE}px\"><b style=\"flex:1 1 auto;{CUT}\">{}</b>\
             <span style=\"flex:0 1 auto;{CUT}\">{gil}</span></div>",
            harmless(&self.title),
        )
    }

    fn foot(&self, follows: Follows) -> String {
        let end = match follows {
            // Without the style sheet, as where nobody trusts the notebook, it is seen at once.
            Follows::Within(time) => format!(
                "<style>@keyframes dph-gone{{from{{opacity:0}}to{{opacity:1}}}}</style>\
                 <b style=\"flex:0 0 auto;animation:dph-gone {}s steps(1,end)\">this view has stopped</b>",
                time.as_secs().max(1),
            ),
            Follows::NoMore(why) => format!("<b style=\"flex:0 0 auto\">{}</b>", harmless(why)),
        };
        format!(
            "<div style=\"display:flex;gap:16px;height:{LINE}px;margin-top:4px\">\
             <span style=\"flex:1 1 auto;color:{FAINT};{CUT}\">{}</span>{end}</div>",
            harmless(&self.rest),
        )
    }
}

impl Gauge {
    fn html(&self) -> String {
        let (name, now) = (harmless(self.name), harmless(&self.now));
        format!(
            "<div style=\"flex:1 1 0;min-width:0\"><div style=\"display:flex;gap:8px;height:{LINE}px\">\
             <span style=\"flex:0 0 auto\">{name} <b>{now}</b></span>\
             <span style=\"flex:1 1 auto;text-align:right;color:{FAINT};{CUT}\">{}</span></div>{}</div>",
            harmless(&self.scale),
            self.svg(),
        )
    }

    /// The line over time, which fills its place whatever that measures.
    fn svg(&self) -> String {
        let last = self.line.len().saturating_sub(1).max(1) as f64;
        let height = GAUGE as f64;
        let place = |(place, share): (usize, &f64)| {
            let share = share.clamp(0.0, 1.0);
            (
                place as f64 * 100.0 / last,
                height - 1.0 - share * (height - 2.0),
            )
        };
        let line: Vec<(f64, f64)> = self.line.iter().enumerate().map(place).collect();
        let band: Vec<_> = line.iter().map(|(x, y)| (*x, *y, height)).collect();
        let mut points = String::new();
        for (x, y) in &line {
            // Writing to a string cannot fail.
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        let shape = match band.len() {
            0 | 1 => String::new(),
            _ => format!(
                "<path d=\"{}\" fill=\"{CPU}\" fill-opacity=\".18\" stroke=\"none\"/>\
                 <polyline points=\"{points}\" fill=\"none\" stroke=\"{CPU}\" stroke-width=\"1.5\" \
                 vector-effect=\"non-scaling-stroke\"/>",
                outline(&band)
            ),
        };
        format!(
            "<svg role=\"img\" aria-label=\"{} over time\" viewBox=\"0 0 100 {GAUGE}\" preserveAspectRatio=\"none\" \
             style=\"display:block;width:100%;height:{GAUGE}px;background:{GROUND};border-radius:3px\">{shape}</svg>",
            harmless(self.name)
        )
    }
}

impl ThreadBar {
    fn html(&self) -> String {
        let (name, owner) = (harmless(&self.name), harmless(&self.owner));
        let width = 100.0 * self.share.clamp(0.0, 1.0);
        let mark = match self.has_gil {
            true => format!("<span style=\"color:{HELD}\" title=\"has the GIL\">●</span>"),
            false => String::new(),
        };
        format!(
            "<div style=\"display:grid;grid-template-columns:1em minmax(0,3fr) minmax(0,2fr) minmax(0,4fr) 3.5em;\
             column-gap:8px;height:{LINE}px\"><span>{mark}</span>\
             <span style=\"{CUT}\" title=\"{name}\">{name}</span>\
             <span style=\"color:{FAINT};{CUT}\" title=\"{owner}\">{owner}</span>\
             <span style=\"align-self:center;height:10px;background:{GROUND};border-radius:3px\">\
             <span style=\"display:block;width:{width:.1}%;height:10px;background:{CPU};border-radius:3px\"></span></span>\
             <span style=\"text-align:right\">{:.0} %</span></div>",
            100.0 * self.share,
        )
    }
}

/// A text without control characters, that may stand between tags and inside of quotes.
fn harmless(text: &str) -> String {
    escape(&printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(name: &str, threads: usize) -> LivePicture {
        let thread = ThreadBar {
            name: name.into(),
            owner: name.into(),
            share: 1.5,
            has_gil: true,
        };
        let gauge = Gauge {
            name: "CPU",
            now: name.into(),
            scale: name.into(),
            line: vec![0.0, 0.5, 2.0],
        };
        LivePicture {
            title: name.into(),
            gil: Some(name.into()),
            sentence: name.into(),
            gauges: [gauge.clone(), gauge],
            threads: vec![thread; threads],
            rest: name.into(),
        }
    }

    /// The heights of all parts, in their order.
    fn heights(html: &str) -> Vec<&str> {
        let parts = html.split("height:").skip(1);
        parts.filter_map(|part| part.split("px").next()).collect()
    }

    #[test]
    fn nothing_escapes() {
        let evil = "<script>alert('1')</script>\" onload=x\u{1b}[2J";
        let html = picture(evil, 2).html(Follows::Within(Duration::from_secs(5)));
        assert!(
            !html.contains("<script") && !html.contains("\" onload") && !html.contains('\u{1b}')
        );
    }

    #[test]
    fn its_height_is_always_the_same() {
        let outer = |picture: LivePicture, follows| heights(&picture.html(follows))[0].to_owned();
        let height = outer(
            LivePicture::default(),
            Follows::NoMore("the kernel has ended"),
        );
        for threads in 0..9 {
            let html = picture("a", threads).html(Follows::Within(Duration::from_secs(5)));
            assert_eq!(heights(&html)[0], height);
            let rows = html.matches("display:grid").count();
            let blanks = html.matches("<div style=\"height:20px\"></div>").count();
            assert_eq!((rows, rows + blanks), (threads.min(THREADS), THREADS));
        }
    }

    #[test]
    fn it_says_by_itself_that_no_other_follows() {
        let lives = picture("a", 1).html(Follows::Within(Duration::from_secs(8)));
        assert!(lives.contains("animation:dph-gone 8s"), "{lives}");
        let over = picture("a", 1).html(Follows::NoMore("the kernel has ended"));
        assert!(!over.contains("stopped") && over.contains("the kernel has ended"));
    }
}
