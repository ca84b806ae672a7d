//! What a mistyped word was meant to be.

/// The candidate that a mistyped word most likely means.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| {
        strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase())
    };
    let near = candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate));
    // A word of which no letter is left was meant by nobody.
    let length = word.chars().count();
    near.filter(|(distance, _)| *distance < length && *distance <= 1 + length / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The end of a message that offers the nearest candidate, if there is one.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates)
        .map(|near| format!(", did you mean {near}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("arrary", ["array", "b"]), Some("array"));
        assert_eq!(nearest("X", ["x"]), Some("x"));
        assert_eq!(nearest("zzz", ["array"]), None);
    }
}
