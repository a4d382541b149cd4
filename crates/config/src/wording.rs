//! What serde says of a faulty field, in plainer words.

/// The rest of the sentence about a field: what serde says in plainer words, and the nearest known name.
pub fn explained(field: &str, message: &str) -> String {
    let message = plain(&one_line(message));
    let place = if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    };
    let hint = unknown(&message);
    format!("{place}{message}{}", hint.unwrap_or_default())
}

/// The end of a sentence about an unknown name: the nearest one of those that are known, where it is near.
#[must_use]
pub fn did_you_mean<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let distance = |known: &&str| strsim::damerau_levenshtein(unknown, known);
    let nearest = known.into_iter().min_by_key(distance);
    nearest
        .filter(|known| distance(known) <= 1 + unknown.len() / 3)
        .map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

/// What TOML says of a number that is too large for it, with what would be right; nothing where it says something else.
pub fn overflowed(number: &str, message: &str) -> Option<String> {
    let right = match message.trim() {
        "integer number overflowed" => "a whole number within 64 bits",
        "floating-point number overflowed" => "a number of at most 1.8e308",
        _ => return None,
    };
    Some(format!("found {number}, expected {right}"))
}

/// Without line breaks.
pub fn one_line(message: &str) -> String {
    message.trim().replace('\n', ", ")
}

/// What was found and what would be right, in words that are not Rust's.
#[must_use]
pub fn plain(message: &str) -> String {
    let message = &message.replace("invalid value: map", "found a table with another number of names");
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    format!(
        "{}, expected {}",
        found_in_words(found),
        expected_in_words(expected)
    )
}

fn found_in_words(found: &str) -> String {
    if let Some(values) = found.strip_prefix("invalid length ") {
        return format!("found {values} values");
    }
    let Some(value) = ["invalid value: ", "invalid type: "]
        .iter()
        .find_map(|kind| found.strip_prefix(kind))
    else {
        return found.to_owned();
    };
    let bare = ["integer `", "floating point `", "boolean `"]
        .iter()
        .find_map(|kind| value.strip_prefix(kind)?.strip_suffix('`'));
    match (value, bare) {
        (_, Some(bare)) => format!("found {bare}"),
        ("sequence", _) => "found a list".to_owned(),
        ("map", _) => "found a table".to_owned(),
        (other, _) => format!("found {}", other.replacen("string ", "the text ", 1)),
    }
}

fn expected_in_words(expected: &str) -> String {
    let words = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65,535",
        "u32" => "a whole number from 0 to 4,294,967,295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "bool" | "a boolean" => "true or false",
        "a string" | "string" => "a text in quotes",
        "path string" => "a path in quotes",
        "a sequence" => "a list",
        "map with a single key" | "string or map" => "a table with exactly one name in it",
        table if table.starts_with("struct ") || table == "a map" || table == "map" => "a table",
        other => {
            let nonzero = other.strip_prefix("a nonzero ").is_some();
            let length = ["an array of length ", "a tuple of size "]
                .iter()
                .find_map(|kind| other.strip_prefix(kind));
            return match length {
                Some(length) => format!("a list of {length} values"),
                None if nonzero => "a whole number, 1 or more".to_owned(),
                None => other.to_owned(),
            };
        }
    };
    words.to_owned()
}

/// The same of serde's "unknown field `x`, expected one of `y`, `z`".
fn unknown(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    Some(did_you_mean(names.next()?, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_to_know_rust() {
        for (said, words) in [
            (
                "invalid type: integer `3`, expected path string",
                "steps: found 3, expected a path in quotes",
            ),
            (
                "invalid value: integer `-1`, expected u64",
                "steps: found -1, expected a whole number, 0 or more",
            ),
            (
                "invalid value: integer `300`, expected u8",
                "steps: found 300, expected a whole number from 0 to 255",
            ),
            (
                "invalid type: floating point `1.5`, expected usize",
                "steps: found 1.5, expected a whole number, 0 or more",
            ),
            (
                "invalid type: string \"fast\", expected f64",
                "steps: found the text \"fast\", expected a number",
            ),
            (
                "invalid length 3, expected an array of length 2",
                "steps: found 3 values, expected a list of 2 values",
            ),
            (
                "invalid value: integer `0`, expected a nonzero u32",
                "steps: found 0, expected a whole number, 1 or more",
            ),
            ("missing field `steps`", "steps: missing field `steps`"),
        ] {
            assert_eq!(explained("steps", said), words);
        }
    }
}
