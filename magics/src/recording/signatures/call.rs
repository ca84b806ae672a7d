//! The arguments of one call, as its words and its signature tell them.

use super::expression::Values;
use super::form::{CallingConvention, KnownFunction};
use super::table::{Access, Extent, ItemType, ParameterKind};

/// One call of a known function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SignatureCall {
    pub arguments: Vec<NamedArgument>,
    /// Whether matrices lie row by row.
    pub is_by_rows: bool,
    /// How many numbers it adds and multiplies, where that follows from the sizes.
    pub flop: Option<f64>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NamedArgument {
    pub name: &'static str,
    pub value: ArgumentValue,
}

/// Its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ArgumentValue {
    Letter(char),
    Integer(i64),
    Number(f64, Option<f64>),
    Memory(MemoryArgument),
}

/// Memory that was handed to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryArgument {
    pub address: usize,
    /// How far it reaches.
    pub span: usize,
    /// How many bytes its items take.
    pub bytes: usize,
    pub access: Access,
    /// Whether its items follow one another without gaps.
    pub is_dense: bool,
}

impl KnownFunction {
    /// The call that left these words; nothing if there are not as many as there must be.
    pub(crate) fn call(&self, words: &[usize]) -> Option<SignatureCall> {
        let mut words = words.iter().copied();
        let is_by_rows = match self.form {
            CallingConvention::Cblas { ordered: true } => letter(words.next()?) == 'R',
            _ => false,
        };
        let mut raw = Vec::new();
        for argument in &self.signature.arguments {
            let value = match &argument.kind {
                ParameterKind::Skip => continue,
                ParameterKind::Letter => match self.form {
                    CallingConvention::Fortran => {
                        RawArgument::Letter(char::from(words.next()? as u8).to_ascii_uppercase())
                    }
                    _ => RawArgument::Letter(letter(words.next()?)),
                },
                ParameterKind::Size => {
                    RawArgument::Integer(i64::try_from(words.next()?).unwrap_or(i64::MAX))
                }
                ParameterKind::Integer => {
                    RawArgument::Integer(match self.is_wide && self.form != CallingConvention::C {
                        true => words.next()? as i64,
                        false => i64::from(words.next()? as i32),
                    })
                }
                ParameterKind::Scalar(item) => number(*item, &mut words)?,
                ParameterKind::Memory(..) => RawArgument::Address(words.next()?),
            };
            raw.push((argument.name.as_str(), value));
        }
        let raw = RawArguments(raw);
        let factor = if self.signature.item.is_complex() {
            4.0
        } else {
            1.0
        };
        let flop = self.signature.flop.as_ref();
        let flop = flop
            .and_then(|flop| flop.value(&raw))
            .filter(|_| !raw.is_question());
        Some(SignatureCall {
            arguments: self.arguments(&raw, is_by_rows),
            is_by_rows,
            flop: flop.map(|flop| (flop * factor).max(0.0)),
        })
    }

    fn arguments(&self, raw: &RawArguments, is_by_rows: bool) -> Vec<NamedArgument> {
        let kept = self.signature.arguments.iter();
        let kept = kept.filter(|argument| argument.kind != ParameterKind::Skip);
        // Who asks for room to work in need not have set these yet.
        let is_set =
            |kind: &ParameterKind| !(raw.is_question() && matches!(kind, ParameterKind::Scalar(_)));
        let set = kept
            .zip(&raw.0)
            .filter(|(argument, _)| is_set(&argument.kind));
        let arguments = set.map(|(argument, (name, value))| NamedArgument {
            name,
            value: match (value, &argument.kind) {
                (&RawArgument::Address(address), ParameterKind::Memory(access, item, extent)) => {
                    let size = item.size(self.is_wide);
                    let (span, items) = raw.reach(extent, is_by_rows);
                    let adds_nothing = raw.is_zero("beta") && *access == Access::Both;
                    ArgumentValue::Memory(MemoryArgument {
                        address,
                        span: span * size,
                        bytes: items * size,
                        access: if adds_nothing { Access::Write } else { *access },
                        is_dense: span == items,
                    })
                }
                (RawArgument::Number(real, imaginary), _) => {
                    ArgumentValue::Number(*real, *imaginary)
                }
                (&RawArgument::Integer(number), _) => ArgumentValue::Integer(number),
                (&RawArgument::Letter(letter), _) => ArgumentValue::Letter(letter),
                (&RawArgument::Address(address), _) => ArgumentValue::Integer(address as i64),
            },
        });
        arguments.collect()
    }
}

impl SignatureCall {
    /// The memory that was handed over, with its names in the signature.
    pub(crate) fn memory(&self) -> impl Iterator<Item = (&'static str, MemoryArgument)> {
        self.arguments
            .iter()
            .filter_map(|argument| match argument.value {
                ArgumentValue::Memory(memory) => Some((argument.name, memory)),
                _ => None,
            })
    }

    /// An integer argument.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.arguments
            .iter()
            .find_map(|argument| match argument.value {
                ArgumentValue::Integer(number) if argument.name == name => Some(number),
                _ => None,
            })
    }

    /// Whether it only asks how much room a function needs to work in.
    pub(crate) fn is_question(&self) -> bool {
        self.integer("lwork") == Some(-1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum RawArgument {
    Letter(char),
    Integer(i64),
    Number(f64, Option<f64>),
    Address(usize),
}

/// The arguments by their names.
struct RawArguments(Vec<(&'static str, RawArgument)>);

impl RawArguments {
    fn get(&self, name: &str) -> Option<RawArgument> {
        let mut all = self.0.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    fn is_question(&self) -> bool {
        self.get("lwork") == Some(RawArgument::Integer(-1))
    }

    fn is_zero(&self, name: &str) -> bool {
        matches!(self.get(name), Some(RawArgument::Number(real, imaginary))
            if real == 0.0 && imaginary.unwrap_or(0.0) == 0.0)
    }

    /// How many items memory reaches over, and how many it has.
    fn reach(&self, extent: &Extent, is_by_rows: bool) -> (usize, usize) {
        let size = |value: Option<f64>| value.map_or(0, |value| value.max(0.0) as usize);
        let step = |name: &str| self.integer(name).map_or(1, |step| step.abs() as usize);
        match extent {
            Extent::Plain { count } => {
                let count = size(count.value(self));
                (count, count)
            }
            Extent::Vector { count, step: name } => {
                let count = size(count.value(self));
                let gaps = count.saturating_sub(1).saturating_mul(step(name));
                (gaps + count.min(1), count)
            }
            Extent::Matrix {
                rows,
                columns,
                leading,
                turned,
            } => {
                let (mut rows, mut columns) = (size(rows.value(self)), size(columns.value(self)));
                let is_turned = turned.as_ref().and_then(|name| self.letter(name));
                if is_turned.is_some_and(|letter| letter != 'N' && letter != 'R') != is_by_rows {
                    std::mem::swap(&mut rows, &mut columns);
                }
                if rows == 0 || columns == 0 {
                    return (0, 0);
                }
                let before = (columns - 1).saturating_mul(step(leading));
                (before.saturating_add(rows), rows.saturating_mul(columns))
            }
        }
    }
}

impl Values for RawArguments {
    fn integer(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            RawArgument::Integer(number) => Some(number as f64),
            _ => None,
        }
    }

    fn letter(&self, name: &str) -> Option<char> {
        match self.get(name)? {
            RawArgument::Letter(letter) => Some(letter),
            _ => None,
        }
    }
}

/// The letter of Fortran for a constant of `cblas.h`.
fn letter(constant: usize) -> char {
    match constant as i32 {
        101 | 114 | 142 => 'R',
        102 | 113 => 'C',
        111 | 131 => 'N',
        112 => 'T',
        121 | 132 => 'U',
        122 | 141 => 'L',
        _ => '?',
    }
}

fn number(item: ItemType, words: &mut impl Iterator<Item = usize>) -> Option<RawArgument> {
    let single = |bits: u32| f64::from(f32::from_bits(bits));
    let first = words.next()? as u64;
    Some(match item {
        ItemType::Single => RawArgument::Number(single(first as u32), None),
        ItemType::ComplexSingle => {
            RawArgument::Number(single(first as u32), Some(single((first >> 32) as u32)))
        }
        ItemType::ComplexDouble => {
            let second = words.next()? as u64;
            RawArgument::Number(f64::from_bits(first), Some(f64::from_bits(second)))
        }
        _ => RawArgument::Number(f64::from_bits(first), None),
    })
}
