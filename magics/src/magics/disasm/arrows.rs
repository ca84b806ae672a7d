//! Jumps inside a function as arrows in the margin of its listing.

/// A jump from one line to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrow {
    /// The line of the jump.
    pub from: usize,
    /// The line it leads to.
    pub to: usize,
}

impl Arrow {
    fn low(self) -> usize {
        self.from.min(self.to)
    }

    fn high(self) -> usize {
        self.from.max(self.to)
    }
}

/// Margins wider than this hide more than they show; the longest jumps are left out first.
const LANES: usize = 8;

/// One margin for each line, all of the same width.
pub(super) fn margins(lines: usize, mut arrows: Vec<Arrow>) -> Vec<String> {
    // Short jumps lie next to the code, so that long ones go around them.
    arrows.sort_by_key(|arrow| (arrow.high() - arrow.low(), arrow.low()));
    let mut lanes: Vec<Vec<Arrow>> = Vec::new();
    for arrow in arrows {
        let free = |lane: &Vec<Arrow>| {
            lane.iter()
                .all(|other| shares(*other, arrow) || apart(*other, arrow))
        };
        match lanes.iter().position(free) {
            Some(lane) => lanes[lane].push(arrow),
            None if lanes.len() < LANES => lanes.push(vec![arrow]),
            None => {}
        }
    }
    (0..lines).map(|line| margin(line, &lanes)).collect()
}

/// Whether two arrows lead to the same line from the same side, so that they can share a lane.
fn shares(one: Arrow, other: Arrow) -> bool {
    one.to == other.to && (one.from < one.to) == (other.from < other.to)
}

fn apart(one: Arrow, other: Arrow) -> bool {
    one.high() < other.low() || other.high() < one.low()
}

/// The margin of one line: the outermost lane stands to the left.
fn margin(line: usize, lanes: &[Vec<Arrow>]) -> String {
    let mut margin = String::new();
    // A horizontal stroke runs from where a lane turns to the code.
    let mut stroke = false;
    let mut head = false;
    for lane in lanes.iter().rev() {
        let through = lane
            .iter()
            .any(|arrow| arrow.low() < line && line < arrow.high());
        let starts = lane.iter().any(|arrow| arrow.low() == line);
        let ends = lane.iter().any(|arrow| arrow.high() == line);
        let turn = match (starts, ends, through) {
            (false, false, true) if stroke => Some('┼'),
            (false, false, true) => Some('│'),
            (false, false, false) => None,
            (true, false, false) => Some('┌'),
            (false, true, false) => Some('└'),
            _ => Some('├'),
        };
        stroke |= starts || ends;
        head |= lane.iter().any(|arrow| arrow.to == line);
        margin.push(turn.unwrap_or(if stroke { '─' } else { ' ' }));
    }
    margin.push(match (head, stroke) {
        (true, _) => '►',
        (false, true) => '─',
        (false, false) => ' ',
    });
    margin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(lines: usize, arrows: &[(usize, usize)]) -> Vec<String> {
        margins(
            lines,
            arrows
                .iter()
                .map(|&(from, to)| Arrow { from, to })
                .collect(),
        )
    }

    #[test]
    fn no_jump_takes_no_room() {
        assert_eq!(drawn(2, &[]), [" ", " "]);
    }

    #[test]
    fn jumps_forward_and_back() {
        assert_eq!(drawn(3, &[(0, 2)]), ["┌─", "│ ", "└►"]);
        assert_eq!(drawn(3, &[(2, 0)]), ["┌►", "│ ", "└─"]);
        assert_eq!(drawn(1, &[(0, 0)]), ["├►"]);
    }

    #[test]
    fn a_long_jump_goes_around_a_short_one() {
        assert_eq!(drawn(4, &[(0, 3), (1, 2)]), ["┌──", "│┌─", "│└►", "└─►"]);
    }

    #[test]
    fn crossing_strokes_and_shared_lanes() {
        assert_eq!(
            drawn(4, &[(0, 2), (1, 3)]),
            [
                "┌──".replace('┌', " ┌").chars().take(3).collect::<String>(),
                "┌┼─".into(),
                "│└►".into(),
                "└─►".into()
            ]
        );
        assert_eq!(drawn(3, &[(0, 2), (1, 2)]), ["┌─", "├─", "└►"]);
    }

    #[test]
    fn the_margin_stays_narrow() {
        let many: Vec<(usize, usize)> = (0..50).map(|at| (at, 99 - at)).collect();
        assert!(
            drawn(100, &many)
                .iter()
                .all(|margin| margin.chars().count() == LANES + 1)
        );
    }
}
