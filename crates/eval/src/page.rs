//! A page that explains itself: one HTML file, nothing to fetch, light or dark as its reader has it.

use crate::plot::escape;

/// An HTML page under way.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// A page with a title and a line below it.
    #[must_use]
    pub fn new(title: &str, below: &str) -> Self {
        let body = format!(
            "<header><p class=\"mark\">haggle</p><h1>{}</h1><p>{}</p></header>\n",
            escape(title),
            escape(below)
        );
        Self {
            title: title.to_owned(),
            body,
        }
    }

    /// The numbers that matter, large: name, number, and what to know of it.
    pub fn tiles(&mut self, tiles: &[(&str, String, String)]) {
        let tile = |(name, number, note): &(&str, String, String)| {
            format!(
                "<div><p>{}</p><strong>{}</strong><small>{}</small></div>",
                escape(name),
                escape(number),
                escape(note)
            )
        };
        let tiles: String = tiles.iter().map(tile).collect();
        self.body += &format!("<section class=\"tiles\">{tiles}</section>\n");
    }

    /// A heading with a line of explanation; empty: none.
    pub fn heading(&mut self, heading: &str, note: &str) {
        self.body += &format!("<h2>{}</h2>\n", escape(heading));
        if !note.is_empty() {
            self.body += &format!("<p class=\"note\">{}</p>\n", escape(note));
        }
    }

    /// Figures beside each other, as far as the width allows; each is HTML as the plots give it.
    pub fn figures(&mut self, figures: &[String]) {
        self.body += &format!("<section class=\"figures\">\n{}</section>\n", figures.concat());
    }

    /// A table; the first column holds names, the others numbers.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| -> String {
            cells
                .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)))
                .collect()
        };
        let head = cells("th", &mut head.iter().copied());
        let row =
            |row: &Vec<String>| format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(String::as_str)));
        let rows: String = rows.iter().map(row).collect();
        self.body += &format!(
            "<div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>\n"
        );
    }

    /// Text as it stands, folded away under its name.
    pub fn folded(&mut self, name: &str, text: &str) {
        self.body += &format!(
            "<details><summary>{}</summary><pre>{}</pre></details>\n",
            escape(name),
            escape(text)
        );
    }

    /// The whole file.
    #[must_use]
    pub fn html(&self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n\
             {}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
            escape(&self.title),
            include_str!("page.css"),
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fetched_and_nothing_slips_out_of_its_text() {
        let mut page = Page::new("a <run>", "below");
        page.tiles(&[("V / V*", "0.99".into(), "exact".into())]);
        page.heading("Runs", "");
        page.table(&["run", "value"], &[vec!["<script>".into(), "1".into()]]);
        page.folded("config", "x = \"</pre>\"");
        let html = page.html();
        assert!(html.contains("<title>a &lt;run&gt;</title>") && html.contains("&lt;script&gt;"));
        for word in ["<script", "http:", "https:", "url(", "@import", "src="] {
            assert!(!html.contains(word), "{word}");
        }
    }
}
