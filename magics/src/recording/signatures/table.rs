//! The tables of signatures, which are text beside this file, as values.

use diaphane_forks::ForkOnce;
use std::collections::HashMap;

use super::expression::Expression;

/// What memory holds, and scalars are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemType {
    Single,
    Double,
    ComplexSingle,
    ComplexDouble,
    /// A Fortran integer.
    Integer,
    Byte,
}

/// Who may call a function, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureForms {
    /// From Fortran and C alike.
    One,
    /// The same, where C says first how matrices are ordered.
    Two,
    Fortran,
    Cblas,
    C,
}

/// What a function does with memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Both,
}

/// How much memory it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Extent {
    Matrix {
        rows: Expression,
        columns: Expression,
        leading: String,
        turned: Option<String>,
    },
    Vector {
        count: Expression,
        step: String,
    },
    Plain {
        count: Expression,
    },
}

/// What an argument is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ParameterKind {
    Letter,
    Integer,
    /// `size_t`.
    Size,
    /// A number of this type.
    Scalar(ItemType),
    Memory(Access, ItemType, Extent),
    Skip,
}

/// An argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    pub name: String,
    pub kind: ParameterKind,
}

/// What is known of a function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signature {
    /// Its plain name: `dgemm`.
    pub name: String,
    pub(super) level: SignatureForms,
    pub(super) item: ItemType,
    pub(super) arguments: Vec<Parameter>,
    pub(super) flop: Option<Expression>,
}

impl Signature {
    /// Whether it only moves or allocates memory.
    pub(crate) fn is_of_memory(&self) -> bool {
        self.level == SignatureForms::C
    }
}

impl ItemType {
    fn of_letter(letter: char) -> Option<Self> {
        Some(match letter {
            's' => Self::Single,
            'd' => Self::Double,
            'c' => Self::ComplexSingle,
            'z' => Self::ComplexDouble,
            _ => return None,
        })
    }

    /// How many bytes one takes, where integers have 64 bits or not.
    pub(super) fn size(self, is_wide: bool) -> usize {
        match self {
            Self::Byte => 1,
            Self::Integer if !is_wide => 4,
            Self::Single => 4,
            Self::Integer | Self::Double | Self::ComplexSingle => 8,
            Self::ComplexDouble => 16,
        }
    }

    /// The same precision without an imaginary part.
    fn real(self) -> Self {
        match self {
            Self::ComplexSingle => Self::Single,
            Self::ComplexDouble => Self::Double,
            other => other,
        }
    }

    pub(super) fn is_complex(self) -> bool {
        self.real() != self
    }
}

/// All functions that are known, by their plain names.
pub(super) fn all() -> &'static HashMap<String, Signature> {
    static ALL: ForkOnce<HashMap<String, Signature>> = ForkOnce::new();
    ALL.get_or_init(|| {
        let signatures = lines().filter_map(line).flatten();
        let named = signatures.map(|signature| (signature.name.clone(), signature));
        named.collect()
    })
}

fn lines() -> impl Iterator<Item = &'static str> {
    let tables = [
        include_str!("blas.table"),
        include_str!("lapack.table"),
        include_str!("c.table"),
    ];
    let lines = tables.into_iter().flat_map(str::lines);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The functions of one line.
fn line(line: &str) -> Option<Vec<Signature>> {
    let (head, tail) = line.split_once(": ")?;
    let mut names = head.split(' ');
    let level = match names.next()? {
        "level1" => SignatureForms::One,
        "level2" => SignatureForms::Two,
        "fortran" => SignatureForms::Fortran,
        "cblas" => SignatureForms::Cblas,
        "c" => SignatureForms::C,
        _ => return None,
    };
    let (arguments, flop) = match tail.split_once(" = ") {
        Some((arguments, flop)) => (arguments, Some(Expression::parse(flop)?)),
        None => (tail, None),
    };
    let mut found = Vec::new();
    for pattern in names {
        let (pattern, letters) = pattern.split_once('/').unwrap_or((pattern, "-"));
        for letter in letters.chars() {
            let item = ItemType::of_letter(letter).unwrap_or(ItemType::Byte);
            let arguments = arguments.split(", ").map(|text| argument(text, item));
            found.push(Signature {
                name: pattern.replace('?', &letter.to_string()),
                level,
                item,
                arguments: arguments.collect::<Option<_>>()?,
                flop: flop.clone(),
            });
        }
    }
    Some(found)
}

fn argument(text: &str, own: ItemType) -> Option<Parameter> {
    let (kind, rest) = text.split_once(' ')?;
    let (access, item) = kind.split_once(':').unwrap_or((kind, ""));
    let item = match item {
        "" => own,
        "real" => own.real(),
        "int" => ItemType::Integer,
        "byte" => ItemType::Byte,
        _ => return None,
    };
    let access = match access {
        "read" => Access::Read,
        "write" => Access::Write,
        "both" => Access::Both,
        _ => return plain(kind, rest, own),
    };
    let (name, extent) = rest.split_at(rest.find(['[', '(', '{'])?);
    let kind = ParameterKind::Memory(access, item, self::extent(extent)?);
    Some(Parameter {
        name: name.to_owned(),
        kind,
    })
}

fn plain(kind: &str, name: &str, own: ItemType) -> Option<Parameter> {
    let kind = match kind {
        "char" => ParameterKind::Letter,
        "int" => ParameterKind::Integer,
        "size" => ParameterKind::Size,
        "scalar" => ParameterKind::Scalar(own),
        "real" => ParameterKind::Scalar(own.real()),
        "skip" => ParameterKind::Skip,
        _ => return None,
    };
    Some(Parameter {
        name: name.to_owned(),
        kind,
    })
}

fn extent(text: &str) -> Option<Extent> {
    let inner = text.get(1..text.len() - 1)?;
    let parts: Vec<&str> = inner.split(' ').collect();
    Some(match (text.chars().next()?, parts.as_slice()) {
        ('[', [rows, columns, leading, turned @ ..]) => Extent::Matrix {
            rows: Expression::parse(rows)?,
            columns: Expression::parse(columns)?,
            leading: (*leading).to_owned(),
            turned: turned.first().map(|name| (*name).to_owned()),
        },
        ('(', [count, step]) => Extent::Vector {
            count: Expression::parse(count)?,
            step: (*step).to_owned(),
        },
        ('{', [count]) => Extent::Plain {
            count: Expression::parse(count)?,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_read_and_no_name_stands_twice() {
        let mut names = HashSet::new();
        for text in lines() {
            let functions = line(text).unwrap_or_else(|| panic!("{text}"));
            assert!(!functions.is_empty(), "{text}");
            for function in functions {
                assert!(names.insert(function.name.clone()), "{}", function.name);
            }
        }
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn formulas_speak_of_arguments() {
        for signature in all().values() {
            let has = |name: &str, kinds: &[ParameterKind]| {
                let mut arguments = signature.arguments.iter();
                arguments.any(|one| one.name == name && kinds.contains(&one.kind))
            };
            let known = [
                ParameterKind::Integer,
                ParameterKind::Size,
                ParameterKind::Letter,
            ];
            let check = |formula: &Expression| {
                for name in formula.names() {
                    assert!(has(name, &known), "{}: {name}", signature.name);
                }
            };
            signature.flop.iter().for_each(check);
            for argument in &signature.arguments {
                let ParameterKind::Memory(_, _, extent) = &argument.kind else {
                    continue;
                };
                match extent {
                    Extent::Matrix {
                        rows,
                        columns,
                        leading,
                        turned,
                    } => {
                        check(rows);
                        check(columns);
                        assert!(
                            has(leading, &[ParameterKind::Integer]),
                            "{}",
                            signature.name
                        );
                        let turned = turned.iter();
                        turned.for_each(|name| assert!(has(name, &[ParameterKind::Letter])));
                    }
                    Extent::Vector { count, step } => {
                        check(count);
                        assert!(has(step, &[ParameterKind::Integer]), "{}", signature.name);
                    }
                    Extent::Plain { count } => check(count),
                }
            }
        }
    }
}
