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

/// Without line breaks.
pub fn one_line(message: &str) -> String {
    message.trim().replace('\n', ", ")
}

/// Rust's names of types in words.
fn plain(message: &str) -> String {
    let message = &message.replace("invalid value: map", "found a table with another number of names");
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let words = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "bool" | "a boolean" => "true or false",
        "a string" | "string" => "a text in quotes",
        "a sequence" => "a list",
        "map with a single key" | "string or map" => "a table with exactly one name in it",
        table if table.starts_with("struct ") || table == "a map" || table == "map" => "a table",
        other => other,
    };
    format!("{found}, expected {words}")
}

/// The same of serde's "unknown field `x`, expected one of `y`, `z`".
fn unknown(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    Some(did_you_mean(names.next()?, names))
}
