//! Whether the calling thread's floating-point unit takes numbers close to zero for zero.
//!
//! The setting belongs to a thread, and a new thread begins with that of the one which started it.

use serde::Serialize;

use super::control;

/// The two settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Subnormals {
    /// Results that are too small for full precision become zero (FTZ).
    pub flushed: bool,
    /// Operands that are too small for full precision count as zero (DAZ).
    pub ignored: bool,
}

/// Reads the settings of the calling thread.
#[must_use]
pub fn subnormals() -> Subnormals {
    let register = control::register();
    Subnormals {
        flushed: register & control::FLUSH != 0,
        ignored: register & control::IGNORE != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_arithmetic_shows() {
        let small = std::hint::black_box(f64::MIN_POSITIVE);
        let half = std::hint::black_box(small / 2.0);
        let expected = Subnormals {
            flushed: half == 0.0,
            ignored: half == 0.0,
        };
        assert_eq!(subnormals(), expected);
    }
}
