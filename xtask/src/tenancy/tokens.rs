//! SQL as a tree of tokens: as much of the language as telling tables, clauses and comparisons apart needs.
//!
//! Invariant: what is in a comment or in a string is no word.

/// A token and the line on which it begins, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword, in lower case.
    Word(String),
    /// A string, or a number.
    Literal,
    /// `$1`.
    Parameter,
    /// `=`, `||`, `.`, `,` and so on; operators are whole.
    Symbol(String),
    /// What is between parentheses.
    Group(Vec<Token>),
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) | Kind::Symbol(own) if own == text)
    }
}

/// Reads a statement, or a piece of one: a parenthesis without its partner is a symbol.
pub(super) fn read(sql: &str) -> Vec<Token> {
    let mut reader = Reader {
        left: sql.chars().peekable(),
        line: 1,
    };
    // The tokens of each group that is open, and the line on which it was opened.
    let mut open: Vec<(usize, Vec<Token>)> = Vec::new();
    let mut tokens = Vec::new();
    while let Some(token) = reader.next() {
        if token.is("(") {
            open.push((token.line, std::mem::take(&mut tokens)));
        } else if token.is(")")
            && let Some((line, before)) = open.pop()
        {
            let group = Kind::Group(std::mem::replace(&mut tokens, before));
            tokens.push(Token { line, kind: group });
        } else {
            tokens.push(token);
        }
    }
    while let Some((line, mut before)) = open.pop() {
        let kind = Kind::Symbol("(".to_owned());
        before.push(Token { line, kind });
        before.append(&mut tokens);
        tokens = before;
    }
    tokens
}

struct Reader<'a> {
    left: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn advance(&mut self) -> Option<char> {
        let next = self.left.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// Takes characters while they are wanted.
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(next) = self.left.peek().copied().filter(|next| wanted(*next)) {
            taken.push(next);
            self.advance();
        }
        taken
    }

    /// Up to and with the closing mark; a doubled mark is a part of the text.
    fn quoted(&mut self, mark: char) -> String {
        let mut text = String::new();
        while let Some(next) = self.advance() {
            if next != mark {
                text.push(next);
            } else if self.left.peek() == Some(&mark) {
                text.push(mark);
                self.advance();
            } else {
                break;
            }
        }
        text
    }

    /// The rest of a block comment; these nest.
    fn skip_comment(&mut self) {
        let mut depth = 1;
        while let Some(next) = self.advance().filter(|_| depth > 0) {
            match (next, self.left.peek()) {
                ('*', Some('/')) => depth -= 1,
                ('/', Some('*')) => depth += 1,
                _ => continue,
            }
            self.advance();
            if depth == 0 {
                break;
            }
        }
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            let line = self.line;
            let first = self.advance()?;
            let kind = match first {
                space if space.is_whitespace() => continue,
                '-' if self.left.peek() == Some(&'-') => {
                    self.take_while(|next| next != '\n');
                    continue;
                }
                '/' if self.left.peek() == Some(&'*') => {
                    self.advance();
                    self.skip_comment();
                    continue;
                }
                '\'' => {
                    self.quoted('\'');
                    Kind::Literal
                }
                '"' => Kind::Word(self.quoted('"')),
                '$' => match self.take_while(|next| next.is_alphanumeric() || next == '_') {
                    number if !number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit()) => {
                        Kind::Parameter
                    }
                    tag => {
                        self.dollar_quoted(&tag);
                        Kind::Literal
                    }
                },
                digit if digit.is_ascii_digit() => {
                    self.take_while(|next| next.is_alphanumeric() || next == '.');
                    Kind::Literal
                }
                letter if letter.is_alphabetic() || letter == '_' => {
                    let rest = self.take_while(|next| next.is_alphanumeric() || next == '_');
                    Kind::Word(format!("{letter}{rest}").to_lowercase())
                }
                operator if is_operator(operator) => {
                    let rest = self.take_while(is_operator);
                    Kind::Symbol(format!("{operator}{rest}"))
                }
                other => Kind::Symbol(other.to_string()),
            };
            return Some(Token { line, kind });
        }
    }

    /// The rest of `$tag$ … $tag$`.
    fn dollar_quoted(&mut self, tag: &str) {
        let end = format!("${tag}$");
        let mut seen = String::from("$");
        self.advance();
        while let Some(next) = self.advance() {
            seen.push(next);
            if seen.len() > end.len() && seen.ends_with(&end) {
                break;
            }
        }
    }
}

fn is_operator(symbol: char) -> bool {
    "=<>!|+-*/%&@?#~:^".contains(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(sql: &str) -> String {
        fn show(tokens: &[Token]) -> String {
            let shown = tokens.iter().map(|token| match &token.kind {
                Kind::Word(word) => word.clone(),
                Kind::Literal => "'…'".to_owned(),
                Kind::Parameter => "$".to_owned(),
                Kind::Symbol(symbol) => format!("`{symbol}`"),
                Kind::Group(tokens) => format!("[{}]", show(tokens)),
            });
            shown.collect::<Vec<_>>().join(" ")
        }
        show(&read(sql))
    }

    #[test]
    fn comments_and_strings_hold_no_words() {
        let sql = "SELECT 'it''s FROM a' -- FROM b\n/* FROM /* c */ d */ FROM \"E\" WHERE x ->> 'y' = $1::text[] AND z >= 1.5";
        insta::assert_snapshot!(flat(sql), @"select '…' from E where x `->>` '…' `=` $ `::` text `[` `]` and z `>=` '…'");
        insta::assert_snapshot!(flat("DO $x$ FROM a; $$ $x$ FROM b"), @"do '…' from b");
    }

    #[test]
    fn groups_nest_and_pieces_of_statements_are_read() {
        insta::assert_snapshot!(flat("(a (b) c) d"), @"[a [b] c] d");
        insta::assert_snapshot!(flat(") a (b) (c"), @"`)` a [b] `(` c");
        assert_eq!(read("a\n(b\n\nc)").last().map(|group| group.line), Some(2));
    }
}
