//! Whether a walk is what gdb saw.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stops::Stop;

/// What an unwinder made of a copy.
pub struct Walk {
    /// The addresses, the innermost first.
    pub codes: Vec<usize>,
    /// Whether it says that the last one is the thread's first function.
    pub complete: bool,
    /// Whether it had to search.
    pub searched: bool,
    /// How many addresses at the beginning it does not call guesses.
    pub exact: usize,
}

/// How many walks are what.
#[derive(Default)]
pub struct Sum {
    /// All frames, and it says so.
    right: usize,
    /// The same without a search and without a guess.
    by_tables: usize,
    /// It ends early, and says so.
    short: usize,
    /// It ends early, and says that this was the first function.
    false_end: usize,
    /// It leads elsewhere, but is marked as a guess there.
    wrong_guess: usize,
    /// It leads elsewhere, and looks sure.
    wrong: usize,
    /// The frames up to the first difference.
    frames: usize,
}

impl Sum {
    pub fn of(stops: &[Stop], walks: &[Walk]) -> Self {
        let mut sum = Self::default();
        for (stop, walk) in stops.iter().zip(walks) {
            sum.add(&stop.codes, walk, &stop.names);
        }
        sum
    }

    fn add(&mut self, codes: &[usize], walk: &Walk, names: &[Option<String>]) {
        let alike = codes.iter().zip(&walk.codes);
        let same = alike.take_while(|(code, other)| code == other).count();
        self.frames += same;
        let differs = same < walk.codes.len();
        match (differs, same == codes.len(), walk.complete) {
            (false, true, true) => {
                self.right += 1;
                let by_tables = !walk.searched && walk.exact == walk.codes.len();
                self.by_tables += usize::from(by_tables);
            }
            (false, _, false) => self.short += 1,
            (false, _, true) => self.false_end += 1,
            (true, ..) if same >= walk.exact => self.wrong_guess += 1,
            (true, ..) => self.wrong += 1,
        }
        if std::env::var_os("UNWIND_WHY").is_some() && (differs || same < codes.len()) {
            let name = |at: usize| names.get(at).cloned().flatten().unwrap_or_default();
            let below = same.checked_sub(1).map(name).unwrap_or_default();
            eprintln!(
                "{same} of {}: behind {below}, complete {}",
                codes.len(),
                walk.complete
            );
        }
    }

    /// Everything that was measured of one way.
    pub fn show(&self, way: &str, first: Duration, cold: u64, warm: u64) -> Value {
        json!({
            "way": way, "right": self.right, "by_tables": self.by_tables, "short": self.short,
            "false_end": self.false_end, "wrong_guess": self.wrong_guess, "wrong": self.wrong,
            "frames": self.frames, "first_pass_us": first.as_micros() as u64,
            "cold_ns": cold, "warm_ns": warm,
        })
    }
}
