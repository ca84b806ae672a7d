//! How a library calls a known function: the symbol's name tells the language, and how wide integers are.

use diaphane_sight::linker::libraries::Library;
use diaphane_trace::recorder::argument_capture::Capture;

use super::table::{ItemType, ParameterKind, Signature, SignatureForms, all};

/// The language that a function was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallingConvention {
    /// Every argument by its address.
    Fortran,
    /// Integers and real numbers by value; whether the order of the matrices comes first.
    Cblas {
        ordered: bool,
    },
    C,
}

/// A function of a library whose signature is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownFunction {
    pub signature: &'static Signature,
    pub(super) form: CallingConvention,
    /// Whether integers have 64 bits.
    pub(super) is_wide: bool,
}

/// A symbol by which a library with BLAS or LAPACK is recognised, as `plain` writes names.
const SIGNS: [&str; 3] = ["dgemm", "dgetrf", "cblas_dgemm"];

/// The function behind a symbol of a library. A name alone could mean anything elsewhere.
pub(crate) fn known(symbol: &str, owner: &Library) -> Option<KnownFunction> {
    let known = by_name(symbol)?;
    let is_algebra = || {
        let names = SIGNS.iter().flat_map(|sign| spellings(sign));
        names.into_iter().any(|name| owner.image.exports(&name))
    };
    (known.form == CallingConvention::C || is_algebra()).then_some(known)
}

fn by_name(symbol: &str) -> Option<KnownFunction> {
    if let Some(signature) = all().get(symbol)
        && signature.level == SignatureForms::C
    {
        return Some(KnownFunction {
            signature,
            form: CallingConvention::C,
            is_wide: true,
        });
    }
    let name = symbol.strip_prefix("scipy_").unwrap_or(symbol);
    let wide = name
        .strip_suffix("64_")
        .or_else(|| name.strip_suffix("_64"));
    let short = wide.unwrap_or(name);
    let (plain, form) = match short.strip_prefix("cblas_") {
        Some(plain) => (plain, None),
        // Without its underscore it could be anybody's function.
        None if wide.is_some() || short.ends_with('_') => (
            short.trim_end_matches('_'),
            Some(CallingConvention::Fortran),
        ),
        None => return None,
    };
    let signature = all().get(plain)?;
    let form = match (form, signature.level) {
        (None, SignatureForms::One | SignatureForms::Cblas) => {
            CallingConvention::Cblas { ordered: false }
        }
        (None, SignatureForms::Two) => CallingConvention::Cblas { ordered: true },
        (Some(form), SignatureForms::One | SignatureForms::Two | SignatureForms::Fortran) => form,
        _ => return None,
    };
    Some(KnownFunction {
        signature,
        form,
        is_wide: wide.is_some(),
    })
}

/// The names under which libraries export a function.
fn spellings(plain: &str) -> Vec<String> {
    let ends: &[&str] = match plain.starts_with("cblas_") {
        true => &["", "64_", "_64"],
        false => &["_", "_64_", "64_"],
    };
    let names = ["", "scipy_"].iter().flat_map(|before| {
        ends.iter()
            .map(move |after| format!("{before}{plain}{after}"))
    });
    names.collect()
}

impl KnownFunction {
    /// Whether its callers' matrices lie row by row as a rule: C's do, Fortran's never.
    pub(crate) fn is_usually_by_rows(&self) -> bool {
        self.form == (CallingConvention::Cblas { ordered: true })
    }

    /// Whether every argument is given by its address.
    pub(crate) fn is_fortran(&self) -> bool {
        self.form == CallingConvention::Fortran
    }

    /// Whether it is LAPACK's, whose functions write into what they are given.
    pub(crate) fn is_of_lapack(&self) -> bool {
        self.signature.level == SignatureForms::Fortran
            && !self.signature.name[1..].starts_with("dot")
    }

    /// The bytes of a number of its type.
    pub(crate) fn item_size(&self) -> usize {
        self.signature.item.size(self.is_wide)
    }

    /// NumPy's name of its type.
    pub(crate) fn dtype(&self) -> Option<&'static str> {
        Some(match self.signature.item {
            ItemType::Single => "float32",
            ItemType::Double => "float64",
            ItemType::ComplexSingle => "complex64",
            ItemType::ComplexDouble => "complex128",
            ItemType::Integer | ItemType::Byte => return None,
        })
    }

    /// What tells whether a call only asks how much room to work in is needed.
    fn asks(&self) -> Option<Capture> {
        let mut names = self.signature.arguments.iter();
        let place = names.position(|argument| argument.name == "lwork")?;
        Some(Capture::Asks(place as u8, self.is_wide))
    }

    /// What is to be kept of a call, in the order of the arguments.
    pub(super) fn captures(&self) -> Vec<Capture> {
        let mut captures: Vec<Capture> = self.asks().into_iter().collect();
        let (mut place, mut float) = (0, 0);
        if self.form == (CallingConvention::Cblas { ordered: true }) {
            captures.push(Capture::Integer(0));
            place = 1;
        }
        for argument in &self.signature.arguments {
            let by_address = self.form == CallingConvention::Fortran;
            let take = match &argument.kind {
                ParameterKind::Skip => None,
                ParameterKind::Memory(..) | ParameterKind::Size => Some(Capture::Integer(place)),
                ParameterKind::Letter if by_address => Some(Capture::Pointed8(place)),
                ParameterKind::Integer if by_address && !self.is_wide => {
                    Some(Capture::Pointed32(place))
                }
                ParameterKind::Integer if by_address => Some(Capture::Pointed(place, 1)),
                ParameterKind::Letter | ParameterKind::Integer => Some(Capture::Integer(place)),
                ParameterKind::Scalar(item) if by_address || item.is_complex() => {
                    Some(Capture::Real(place, item.size(self.is_wide) as u8))
                }
                ParameterKind::Scalar(_) => {
                    captures.push(Capture::Float(float));
                    float += 1;
                    continue;
                }
            };
            captures.extend(take);
            place += 1;
        }
        captures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(symbol: &str) -> Option<(&'static str, CallingConvention, bool)> {
        let known = by_name(symbol)?;
        Some((&known.signature.name, known.form, known.is_wide))
    }

    #[test]
    fn a_symbol_tells_the_language_and_the_integers() {
        let ordered = CallingConvention::Cblas { ordered: true };
        let cases = [
            ("scipy_cblas_dgemm64_", Some(("dgemm", ordered, true))),
            ("cblas_sgemv", Some(("sgemv", ordered, false))),
            (
                "cblas_zdotc_sub64_",
                Some((
                    "zdotc_sub",
                    CallingConvention::Cblas { ordered: false },
                    true,
                )),
            ),
            (
                "scipy_dgesv_64_",
                Some(("dgesv", CallingConvention::Fortran, true)),
            ),
            ("dgemm_", Some(("dgemm", CallingConvention::Fortran, false))),
            (
                "scipy_zgesdd_",
                Some(("zgesdd", CallingConvention::Fortran, false)),
            ),
            ("memcpy", Some(("memcpy", CallingConvention::C, true))),
            ("dcopy", None),
            ("cblas_dgesv", None),
            ("cblas_memcpy", None),
            ("memcpy_", None),
            ("dgemm_thread_nn", None),
        ];
        for (symbol, expected) in cases {
            assert_eq!(plain(symbol), expected, "{symbol}");
        }
    }

    #[test]
    fn arguments_are_found_where_the_language_puts_them() {
        use Capture::{Asks, Float, Integer, Pointed, Pointed8, Pointed32, Real};
        let captures = |symbol: &str| by_name(symbol).unwrap().captures();
        let through = (0..=5).map(Integer);
        let mut cblas: Vec<Capture> = through.collect();
        cblas.push(Float(0));
        cblas.extend((6..=9).map(Integer));
        cblas.push(Float(1));
        cblas.extend([Integer(10), Integer(11)]);
        assert_eq!(captures("cblas_dgemm"), cblas);
        let copy = [
            Integer(0),
            Real(1, 16),
            Integer(2),
            Integer(3),
            Integer(4),
            Integer(5),
        ];
        assert_eq!(captures("cblas_zaxpy64_"), copy);
        let solve = [
            Pointed32(0),
            Pointed32(1),
            Integer(2),
            Pointed32(3),
            Integer(4),
            Integer(5),
            Pointed32(6),
        ];
        assert_eq!(captures("sgesv_"), solve);
        assert_eq!(
            captures("scipy_dpotrf_64_")[..2],
            [Pointed8(0), Pointed(1, 1)]
        );
        let least_squares = captures("scipy_dgelsd_64_");
        assert_eq!(least_squares[0], Asks(11, true));
        assert_eq!(least_squares[9..], [Real(8, 8), Pointed(11, 1)]);
        assert!(
            !captures("scipy_dgesv_64_")
                .iter()
                .any(|take| matches!(take, Asks(..)))
        );
    }
}
