//! Whether a part of a message is JSON that Python reads too: where this says yes, Python's own parser does not fail.

use std::collections::HashMap;

use crate::Error;

/// How deeply a part may be nested: Python's parser goes not much deeper.
const DEEPEST: usize = 256;

/// Digits of one number: however few Python was told to read (`sys.set_int_max_str_digits`), it reads as many.
const LONGEST: usize = 640;

/// Checks a part of this name.
///
/// # Errors
/// When it is no JSON object, or one that Python could not read.
pub(crate) fn check(part: &'static str, raw: &[u8]) -> Result<(), Error> {
    let extent = Extent::of(raw);
    if extent.depth > DEEPEST {
        return Err(Error::Depth(part));
    }
    if extent.digits > LONGEST {
        return Err(Error::Digits(part));
    }
    let text = std::str::from_utf8(raw).map_err(|_| Error::Text(part))?;
    serde_json::from_str::<HashMap<String, serde::de::IgnoredAny>>(text)
        .map(drop)
        .map_err(|source| Error::Json { part, source })
}

/// How far JSON goes.
#[derive(Default)]
struct Extent {
    /// Its deepest nesting.
    depth: usize,
    /// The digits of its longest number.
    digits: usize,
}

impl Extent {
    fn of(raw: &[u8]) -> Self {
        let mut found = Self::default();
        let (mut depth, mut digits) = (0_usize, 0);
        let (mut is_text, mut is_escaped) = (false, false);
        for byte in raw {
            digits = if byte.is_ascii_digit() && !is_text {
                digits + 1
            } else {
                0
            };
            found.digits = found.digits.max(digits);
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = is_text,
                b'"' => is_text = !is_text,
                b'[' | b'{' if !is_text => {
                    depth += 1;
                    found.depth = found.depth.max(depth);
                }
                b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
                _ => (),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        for levels in [DEEPEST - 1, DEEPEST, 1_000_000] {
            let text = r#"{"[[\"[{":"[\\","a":"#.as_bytes();
            let (open, close) = (vec![b'['; levels], vec![b']'; levels]);
            let read = check("content", &[text, &open, &close, b"}"].concat());
            match levels < DEEPEST {
                true => assert!(read.is_ok()),
                false => assert!(matches!(read, Err(Error::Depth("content")))),
            }
        }
    }

    #[test]
    fn a_number_that_python_would_not_read_is_refused() {
        for digits in [LONGEST, LONGEST + 1, 1_000_000] {
            let number = "7".repeat(digits);
            let text = format!(r#"{{"7{number}":"\"{number}7","a":-{number}}}"#);
            let read = check("metadata", text.as_bytes());
            match digits <= LONGEST {
                true => assert!(read.is_ok()),
                false => assert!(matches!(read, Err(Error::Digits("metadata")))),
            }
        }
        assert!(check("metadata", br#"{"a":[1e999,-1E-999,0.5]}"#).is_ok());
    }

    #[test]
    fn what_is_no_object_or_no_text_is_named() {
        for wrong in [
            "",
            "[]",
            "null",
            "{\"a\":",
            "\u{feff}{}",
            "{}{}",
            "{\"a\":NaN}",
        ] {
            let read = check("content", wrong.as_bytes());
            assert!(
                matches!(
                    read,
                    Err(Error::Json {
                        part: "content",
                        ..
                    })
                ),
                "{wrong}"
            );
        }
        // Half of a character, which a parser that skips the field would not see.
        let read = check("content", b"{\"a\":\"\xc3\"}");
        assert!(matches!(read, Err(Error::Text("content"))));
    }
}
