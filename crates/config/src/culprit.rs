//! Which field of a config an error of serde is about.

use serde::de::DeserializeOwned;
use std::ops::Range;
use toml_edit::{Document, DocumentMut, Item, TableLike};

/// The key that names the variant of a tagged type in every file of this house.
const TAG: &str = "kind";

/// What serde says of `false` for a type that a table of its fields stands for.
const NO_TABLE: &str = "`false`, expected struct ";

/// What serde says of a table for an enum that has not exactly one name.
const NOT_ONE: &str = "expected map with a single key";

/// The keys of the field, as far as they can be known. `text` is what the document reads as.
pub fn of<T: DeserializeOwned>(document: &DocumentMut, text: &str, error: &toml::de::Error) -> Vec<String> {
    let message = error.message();
    let missing = quoted_after(message, "missing field ");
    let span = error.span().filter(|span| missing.is_none() || !span.is_empty()); // the root has an empty one, at the first key
    let path = span.map_or_else(Vec::new, |span| path_at(text, &span));
    let below = || {
        let all = tables(document.as_table(), &[]);
        all.into_iter().filter(|table| table.starts_with(&path))
    };
    if let Some(missing) = missing {
        let table = below().find(|table| wants::<T>(document, table, missing));
        return [table.unwrap_or(path).as_slice(), &[missing.to_owned()]].concat();
    }
    if is_leaf(document, &path) {
        return path;
    }
    let key = ["unknown field ", "unknown variant "]
        .iter()
        .find_map(|words| quoted_after(message, words));
    let named = key.and_then(|key| {
        let mut named = below().map(|table| [table.as_slice(), &[key.to_owned()]].concat());
        named.find(|path| item(document, path).is_some())
    });
    if let Some(named) = named {
        return named;
    }
    let found = if message.contains(NOT_ONE) {
        let mut tables: Vec<Vec<String>> = below().collect();
        tables.reverse();
        tables
            .into_iter()
            .find(|table| width(document, table) != 1 && other_without::<T>(document, table, message))
    } else {
        leaf::<T>(document, &path, message)
    };
    found.unwrap_or(path)
}

/// A list in the place of a table: serde would take what is in it for the table's values, in their order.
pub fn list_for_table<T: DeserializeOwned>(document: &DocumentMut) -> Option<Vec<String>> {
    let is_list = |path: &Vec<String>| {
        item(document, path).is_some_and(|item| item.is_array() || item.is_array_of_tables())
    };
    let no_table = |path: &Vec<String>| {
        with_false::<T>(document, path).is_err_and(|error| error.message().contains(NO_TABLE))
    };
    leaves(document)
        .into_iter()
        .find(|path| is_list(path) && no_table(path))
}

/// The dotted name of a number that TOML cannot hold, at a span of a text that is sound but for it.
pub fn of_number(text: &str, span: &Range<usize>) -> Vec<String> {
    let (before, after) = (text.get(..span.start), text.get(span.end..));
    let (Some(before), Some(after)) = (before, after) else {
        return Vec::new();
    };
    let sound = format!("{before}{:<width$}{after}", 0, width = span.len());
    path_at(&sound, &(span.start..span.start + 1))
}

fn quoted_after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message.strip_prefix(words)?.split('`').nth(1)
}

/// The dotted name of what stands at a span: the innermost key or value that holds it.
fn path_at(text: &str, span: &Range<usize>) -> Vec<String> {
    let Ok(document) = Document::parse(text) else {
        return Vec::new();
    };
    let holds = |outer: Option<Range<usize>>| {
        outer.is_some_and(|outer| outer.start <= span.start && span.end <= outer.end)
    };
    let mut path = Vec::new();
    let mut stack = vec![(Vec::new(), document.as_table() as &dyn TableLike)];
    while let Some((above, table)) = stack.pop() {
        for (key, _) in table.iter() {
            let Some((key, item)) = table.get_key_value(key) else {
                continue;
            };
            let mut here = above.clone();
            here.push(key.get().to_owned());
            if (holds(key.span()) || holds(item.span())) && here.len() > path.len() {
                path.clone_from(&here);
            }
            if let Some(inner) = item.as_table_like() {
                stack.push((here, inner));
            }
        }
    }
    path
}

/// Every table, the deepest first.
fn tables(table: &dyn TableLike, above: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (key, item) in table.iter() {
        if let Some(inner) = item.as_table_like() {
            found.extend(tables(inner, &[above, &[key.to_owned()]].concat()));
        }
    }
    found.push(above.to_vec());
    found.sort_by_key(|path| std::cmp::Reverse(path.len()));
    found
}

fn item<'a>(document: &'a DocumentMut, path: &[String]) -> Option<&'a Item> {
    path.iter()
        .try_fold(document.as_item(), |item, key| item.as_table_like()?.get(key))
}

fn width(document: &DocumentMut, table: &[String]) -> usize {
    let item = item(document, table).and_then(Item::as_table_like);
    item.map_or(0, TableLike::len)
}

fn is_leaf(document: &DocumentMut, path: &[String]) -> bool {
    item(document, path).is_some_and(|item| !item.is_table_like())
}

/// Whether a table is the one that a field is missing in: a value of the wrong type in its place is the next error.
fn wants<T: DeserializeOwned>(document: &DocumentMut, table: &[String], missing: &str) -> bool {
    let path = [table, &[missing.to_owned()]].concat();
    with_false::<T>(document, &path).map_or_else(|error| error.message().contains("`false`"), |_| true)
}

/// What serde reads with `false` for a field, in a table that is there.
fn with_false<T: DeserializeOwned>(document: &DocumentMut, path: &[String]) -> Result<T, toml::de::Error> {
    let mut with = document.clone();
    if let Some((field, table)) = path.split_last() {
        let root: Option<&mut dyn TableLike> = Some(with.as_table_mut());
        let inner = table
            .iter()
            .fold(root, |table, key| table?.get_mut(key)?.as_table_like_mut());
        if let Some(inner) = inner {
            inner.insert(field, toml_edit::value(false));
        }
    }
    toml::from_str(&with.to_string())
}

/// The value that an error is about where serde has forgotten it: below a tag that chooses the type, values are read twice
/// and lose their places. It is the one without which the error is another one.
fn leaf<T: DeserializeOwned>(
    document: &DocumentMut,
    within: &[String],
    message: &str,
) -> Option<Vec<String>> {
    let mut leaves = leaves(document);
    leaves.retain(|leaf| leaf.starts_with(within));
    leaves.sort_by_key(|leaf| leaf.last().is_some_and(|key| key == TAG)); // without the tag any error is another
    leaves
        .into_iter()
        .find(|leaf| other_without::<T>(document, leaf, message))
}

/// Every field that is no table, the outermost first.
fn leaves(document: &DocumentMut) -> Vec<Vec<String>> {
    let mut leaves = Vec::new();
    for table in tables(document.as_table(), &[]).into_iter().rev() {
        let inner = item(document, &table).and_then(Item::as_table_like);
        let fields = inner.into_iter().flat_map(|inner| inner.iter());
        let values = fields.filter(|(_, item)| !item.is_table_like());
        leaves.extend(values.map(|(key, _)| [table.as_slice(), &[key.to_owned()]].concat()));
    }
    leaves
}

/// Whether the error is another one, or none, without what stands at `path`.
fn other_without<T: DeserializeOwned>(document: &DocumentMut, path: &[String], message: &str) -> bool {
    let mut without = document.clone();
    remove(without.as_table_mut(), path);
    toml::from_str::<T>(&without.to_string()).map_or_else(|error| error.message() != message, |_| true)
}

fn remove(table: &mut dyn TableLike, path: &[String]) {
    match path {
        [] => {}
        [last] => {
            table.remove(last);
        }
        [first, rest @ ..] => {
            if let Some(inner) = table.get_mut(first).and_then(Item::as_table_like_mut) {
                remove(inner, rest);
            }
        }
    }
}
