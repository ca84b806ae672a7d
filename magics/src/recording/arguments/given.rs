//! One call with its arguments.

use serde_json::{Value as Json, json};

use super::lives::{Life, Owned};
use super::looping::Looping;
use super::words;
use crate::recording::hook_plan::About;
use crate::recording::signatures::{Access, Call, Known, Memory, Value};
use diaphane_report::Address;

/// What was called.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A function with a signature.
    Call(Known, Call),
    /// The inner loop of a ufunc.
    Loop(About, Looping),
}

/// A call, and which memory it was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub what: What,
    /// The memory with its names in the signature.
    pub memory: Vec<(&'static str, Memory)>,
    /// Whose it was.
    pub of: Vec<Owned>,
    /// Whether the function's own library made the call.
    pub is_inside: bool,
}

impl What {
    pub(super) fn memory(&self) -> Vec<(&'static str, Memory)> {
        match self {
            Self::Call(_, call) => call.memory().collect(),
            Self::Loop(about, looping) => looping.memory(about),
        }
    }
}

impl Given {
    /// In words: `m=200, n=200, k=200, A=a, B=b, C=c (new)`.
    pub fn text(&self, lives: &[Life]) -> String {
        words::text(self, lives)
    }

    /// Whether it only asks how much room to work in is needed.
    pub fn is_question(&self) -> bool {
        matches!(&self.what, What::Call(_, call) if call.is_question())
    }

    /// The bytes of the items that it reads and writes; unknown for items that are arrays.
    pub fn bytes(&self) -> Option<u64> {
        if matches!(&self.what, What::Loop(about, _) if about.is_general) {
            return None;
        }
        let bytes = self.memory.iter().map(|(_, memory)| memory.bytes as u64);
        Some(bytes.sum())
    }

    /// How many numbers it adds and multiplies, where that follows from the sizes.
    pub fn flop(&self) -> Option<f64> {
        match &self.what {
            What::Call(_, call) => call.flop,
            What::Loop(..) => None,
        }
    }

    /// The memory with whose it was.
    pub fn handed(&self) -> impl Iterator<Item = (&'static str, &Memory, Owned)> {
        let both = self.memory.iter().zip(&self.of);
        both.map(|((name, memory), owned)| (*name, memory, *owned))
    }

    /// As fields.
    pub fn fields(&self, lives: &[Life]) -> Vec<Json> {
        let mut handed = self.handed();
        match &self.what {
            What::Call(_, call) => {
                let arguments = call.arguments.iter();
                let field =
                    |argument: &crate::recording::signatures::Argument| match &argument.value {
                        Value::Letter(letter) => json!({"name": argument.name, "value": letter}),
                        Value::Integer(number) => json!({"name": argument.name, "value": number}),
                        Value::Number(number, None) => {
                            json!({"name": argument.name, "value": number})
                        }
                        Value::Number(real, Some(imaginary)) => {
                            json!({"name": argument.name, "value": [real, imaginary]})
                        }
                        Value::Memory(_) => {
                            handed.next().map_or(Json::Null, |(name, memory, owned)| {
                                memory_fields(name, memory, owned, lives)
                            })
                        }
                    };
                arguments.map(field).collect()
            }
            What::Loop(_, looping) => {
                let mut fields = vec![json!({"name": "n", "value": looping.count})];
                for ((name, memory, owned), (_, step)) in handed.zip(&looping.arrays) {
                    let mut field = memory_fields(name, memory, owned, lives);
                    field["step"] = json!(step);
                    fields.push(field);
                }
                fields
            }
        }
    }
}

fn memory_fields(name: &str, memory: &Memory, owned: Owned, lives: &[Life]) -> Json {
    let life = owned.life(lives);
    let view = life.and_then(|life| life.name(memory.address, memory.span));
    json!({
        "name": name,
        "addr": Address(memory.address),
        "span": memory.span,
        "bytes": memory.bytes,
        "access": match memory.access {
            Access::Read => "read",
            Access::Write => "write",
            Access::Both => "read and write",
        },
        "buffer": view.map(|(view, _)| view.name.as_str()),
        "offset": life.map(|life| memory.address - life.span.start),
        "copy_of": owned.copied(lives).map(Life::title),
        "state": life.map(|life| match (life.is_old, life.is_kept) {
            (true, _) => "before the cell",
            (false, true) => "new",
            (false, false) => "temporary",
        }),
    })
}
