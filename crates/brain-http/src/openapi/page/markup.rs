//! Writing HTML: escaped text, and the little Markdown that descriptions use.

use serde_json::Value;

/// HTML in the making.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of this program.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Text of the document.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
    }

    /// An entry of a list that leads to a place on the page.
    pub(super) fn link(&mut self, anchor: &str, name: &str) {
        self.raw("<li><a href=\"#");
        self.text(anchor);
        self.raw("\">");
        self.text(name);
        self.raw("</a></li>");
    }

    /// Paragraphs and lists, with `code` and **strong** text.
    pub(super) fn prose(&mut self, markdown: &str) {
        for block in markdown.split("\n\n").filter(|block| !block.trim().is_empty()) {
            if !block.starts_with("- ") {
                self.raw("<p>");
                self.inline(block);
                self.raw("</p>");
                continue;
            }
            self.raw("<ul>");
            for item in block.lines() {
                self.raw("<li>");
                self.inline(item.trim_start_matches("- "));
                self.raw("</li>");
            }
            self.raw("</ul>");
        }
    }

    fn inline(&mut self, text: &str) {
        for (place, part) in text.split('`').enumerate() {
            if place % 2 == 1 {
                self.raw("<code>");
                self.text(part);
                self.raw("</code>");
                continue;
            }
            for (place, part) in part.split("**").enumerate() {
                let strong = place % 2 == 1;
                self.raw(if strong { "<strong>" } else { "" });
                self.text(part);
                self.raw(if strong { "</strong>" } else { "" });
            }
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A text in the document; nothing where there is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
