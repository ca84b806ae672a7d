//! One call with its arguments.

use serde_json::{Value as Json, json};

use super::argument_text;
use super::lives::{Life, MemoryOwner};
use super::looping::Looping;
use crate::recording::hook_plan::About;
use crate::recording::signatures::{
    Access, ArgumentValue, KnownFunction, MemoryArgument, SignatureCall,
};
use diaphane_report::Address;

/// What was called.
#[derive(Debug, Clone)]
pub(crate) enum CalledFunction {
    /// A function with a signature.
    Call(KnownFunction, SignatureCall),
    /// The inner loop of a ufunc.
    Loop(About, Looping),
}

/// A call, and which memory it was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub what: CalledFunction,
    /// The memory with its names in the signature.
    pub memory: Vec<(&'static str, MemoryArgument)>,
    /// Whose it was.
    pub of: Vec<MemoryOwner>,
    /// Whether the function's own library made the call.
    pub is_inside: bool,
}

impl CalledFunction {
    pub(super) fn memory(&self) -> Vec<(&'static str, MemoryArgument)> {
        match self {
            Self::Call(_, call) => call.memory().collect(),
            Self::Loop(about, looping) => looping.memory(about),
        }
    }
}

impl Given {
    /// In words: `m=200, n=200, k=200, A=a, B=b, C=c (new)`.
    pub fn text(&self, lives: &[Life]) -> String {
        argument_text::text(self, lives)
    }

    /// Whether it only asks how much room to work in is needed.
    pub fn is_question(&self) -> bool {
        matches!(&self.what, CalledFunction::Call(_, call) if call.is_question())
    }

    /// The bytes of the items that it reads and writes; unknown for items that are arrays.
    pub fn bytes(&self) -> Option<u64> {
        if matches!(&self.what, CalledFunction::Loop(about, _) if about.is_general) {
            return None;
        }
        let bytes = self.memory.iter().map(|(_, memory)| memory.bytes as u64);
        Some(bytes.sum())
    }

    /// How many numbers it adds and multiplies, where that follows from the sizes.
    pub fn flop(&self) -> Option<f64> {
        match &self.what {
            CalledFunction::Call(_, call) => call.flop,
            CalledFunction::Loop(..) => None,
        }
    }

    /// The memory with whose it was.
    pub fn handed(&self) -> impl Iterator<Item = (&'static str, &MemoryArgument, MemoryOwner)> {
        let both = self.memory.iter().zip(&self.of);
        both.map(|((name, memory), owned)| (*name, memory, *owned))
    }

    /// As fields.
    pub fn fields(&self, lives: &[Life]) -> Vec<Json> {
        let mut handed = self.handed();
        match &self.what {
            CalledFunction::Call(_, call) => {
                let arguments = call.arguments.iter();
                let field = |argument: &crate::recording::signatures::NamedArgument| match &argument
                    .value
                {
                    ArgumentValue::Letter(letter) => {
                        json!({"name": argument.name, "value": letter})
                    }
                    ArgumentValue::Integer(number) => {
                        json!({"name": argument.name, "value": number})
                    }
                    ArgumentValue::Number(number, None) => {
                        json!({"name": argument.name, "value": number})
                    }
                    ArgumentValue::Number(real, Some(imaginary)) => {
                        json!({"name": argument.name, "value": [real, imaginary]})
                    }
                    ArgumentValue::Memory(_) => {
                        handed.next().map_or(Json::Null, |(name, memory, owned)| {
                            memory_fields(name, memory, owned, lives)
                        })
                    }
                };
                arguments.map(field).collect()
            }
            CalledFunction::Loop(_, looping) => {
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

fn memory_fields(name: &str, memory: &MemoryArgument, owned: MemoryOwner, lives: &[Life]) -> Json {
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
            (true, _) => "before",
            (false, true) => "new",
            (false, false) => "temporary",
        }),
    })
}
