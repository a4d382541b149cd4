/// Columns side by side: numbers to the right, words to the left.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| {
            if cell.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["seed", "env"], ["7", "a4"], ["12", "c"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "seed  env\n   7  a4\n  12  c\n");
    }
}
