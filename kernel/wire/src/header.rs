//! Reads a header, so that it can be sent back to everybody as the parent of what comes of it.
//!
//! `jupyter_client` takes each string of a header that looks like a date for one, and fails where no calendar has it:
//! then one client could end all others. So the date of such a header becomes the present moment, and a header with one
//! elsewhere is refused.

use jiff::civil::DateTime;
use serde_json::{Map, Value};

use crate::{Error, Header};

/// Bytes of the longest header: every message that comes of a request brings it to every client.
const LONGEST: usize = 1 << 16;

/// The header, and the bytes to send back: those that came, unless its date had to be mended.
///
/// # Errors
/// When it is too long, it is no JSON object, a field has the wrong type, or a field other than its date is an impossible date.
pub fn read_header(raw: Vec<u8>) -> Result<(Header, Vec<u8>), Error> {
    if raw.len() > LONGEST {
        return Err(Error::LongHeader(raw.len()));
    }
    let invalid = |source| Error::Json {
        part: "header",
        source,
    };
    // A map first: as deep as the parser goes, and no array in the place of an object.
    let mut fields: Map<String, Value> = serde_json::from_slice(&raw).map_err(invalid)?;
    let mut is_mended = false;
    if let Some(Value::String(date)) = fields.get_mut("date") {
        is_mended = is_impossible(date);
        if is_mended {
            *date = crate::now();
        }
    }
    if let Some(date) = fields.values().find_map(impossible) {
        return Err(Error::Date(date.to_owned()));
    }
    let raw = match is_mended {
        true => serde_json::to_vec(&fields).map_err(invalid)?,
        false => raw,
    };
    let header = serde_json::from_value(fields.into()).map_err(invalid)?;
    Ok((header, raw))
}

/// The first impossible date in a value.
fn impossible(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) if is_impossible(text) => Some(text),
        Value::Array(items) => items.iter().find_map(impossible),
        Value::Object(fields) => fields.values().find_map(impossible),
        _ => None,
    }
}

/// Whether a text has the form that `jupyter_client` looks for, `2026-01-31T23:59:59.5+01:00`, and is no moment.
fn is_impossible(text: &str) -> bool {
    // Python's `$` also stands before a line's end, and its digits are those of all scripts.
    let line = text.strip_suffix('\n').unwrap_or(text);
    let is_digit = |c: char| c.is_numeric();
    let shape: String = line
        .chars()
        .map(|c| if is_digit(c) { '0' } else { c })
        .collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else {
        return false;
    };
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |rest| rest.len() - rest.trim_start_matches('0').len());
    let offset = if fraction == 0 {
        rest
    } else {
        &rest[1 + fraction..]
    };
    let looks_like_one =
        fraction <= 6 && matches!(offset, "" | "Z" | "+00:00" | "-00:00" | "+0000" | "-0000");
    looks_like_one && (line != text || !line.is_ascii() || !is_moment(line))
}

/// Whether the numbers of an ASCII text of that form are those of a moment.
fn is_moment(text: &str) -> bool {
    let number = |at: usize, length: usize| text[at..at + length].parse::<i8>().unwrap_or(-1);
    let year = text[..4].parse().unwrap_or(0);
    let [month, day, hour, minute, second] = [5, 8, 11, 14, 17].map(|at| number(at, 2));
    let moment = DateTime::new(year, month, day, hour, minute, second, 0);
    let offset = text[19..].find(['+', '-']).map_or((0, 0), |at| {
        (number(19 + at + 1, 2), number(text.len() - 2, 2))
    });
    year > 0 && moment.is_ok() && offset.0 < 24 && offset.1 < 60
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<(Header, String), Error> {
        let (header, raw) = read_header(raw.as_bytes().to_vec())?;
        Ok((header, String::from_utf8(raw).unwrap()))
    }

    #[test]
    fn what_can_be_a_date_is_sent_back_as_it_came() {
        for date in [
            "2024-02-29T23:59:59.999999+23:59",
            "0001-01-01T00:00:00Z",
            "9999-12-31T00:00:00.1-0100",
            "2024-06-01T10:00:00",
            "2024-13-01",
            "at 2024-13-01T00:00:00",
            "2024-01-01T00:00:60.1234567Z",
            "yesterday",
            "",
        ] {
            let raw = format!(r#"{{ "date" : "{date}", "own": ["{date}"] }}"#);
            assert_eq!(read(&raw).unwrap().1, raw);
        }
    }

    #[test]
    fn an_impossible_date_becomes_the_present_moment() {
        for date in [
            "2024-01-01T00:00:60Z",
            "2023-02-29T00:00:00",
            "2024-13-01T00:00:00.5+00:00",
            "0000-01-01T00:00:00",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00-0060",
            "2024-01-01T25:00:00\\n",
            "2024-01-01T00:00:00\\n",
            "２０２４-01-01T00:00:00",
        ] {
            let raw = format!(r#"{{"msg_id":"1","own":{{"x":[]}},"date":"{date}"}}"#);
            let (header, sent) = read(&raw).unwrap();
            assert!(
                !is_impossible(&header.date) && header.date.ends_with('Z'),
                "{date}"
            );
            assert_eq!(sent, raw.replace(date, &header.date));
            let elsewhere = format!(r#"{{"own":{{"x":["{date}"]}}}}"#);
            assert!(matches!(read(&elsewhere), Err(Error::Date(_))), "{date}");
        }
    }

    #[test]
    fn a_header_that_all_would_get_again_and_again_is_short() {
        let with = |length: usize| format!(r#"{{"own":"{}"}}"#, "x".repeat(length));
        assert!(read(&with(LONGEST - 20)).is_ok());
        assert!(matches!(
            read(&with(LONGEST)),
            Err(Error::LongHeader(length)) if length > LONGEST
        ));
    }

    #[test]
    fn a_header_is_an_object() {
        assert!(read("[]").is_err() && read("{\"msg_id\": 1}").is_err());
    }
}
