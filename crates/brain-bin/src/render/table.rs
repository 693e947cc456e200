//! Plain tables: a header, aligned columns, no borders, one line a row, so that they can be read and searched.

use comfy_table::{Table, presets};

use super::escape::{escaped, shortened};

/// The widest cell of a list; `--output json` has the whole text.
pub(crate) const CELL_MAX: usize = 60;

/// A table under construction. Every cell is made harmless on its way in.
pub(crate) struct Grid {
    table: Table,
}

impl Grid {
    pub(crate) fn new(header: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(header);
        Self { table }
    }

    /// Adds a row whose cells are cut at [`CELL_MAX`] characters.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<String> = cells
            .into_iter()
            .map(|cell| shortened(cell.as_ref(), CELL_MAX))
            .collect();
        self.table.add_row(cells);
    }

    /// Adds a row whose cells stay whole.
    pub(crate) fn whole_row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<String> = cells
            .into_iter()
            .map(|cell| escaped(cell.as_ref()).into_owned())
            .collect();
        self.table.add_row(cells);
    }

    /// The text of the table, without spaces at the ends of its lines.
    pub(crate) fn finish(mut self) -> String {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.table.trim_fmt()
    }
}

/// Name and value of each field of one thing, one a line; an empty value is left out.
pub(crate) fn fields<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<(&str, String)> = rows.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = rows
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}", escaped(value)))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_foreign_text_stays_in_its_cell() {
        let mut grid = Grid::new(&["ID", "TEXT", "LAST"]);
        grid.row(["1", "two\nlines\u{1b}[2J", ""]);
        grid.row(["100", &"x".repeat(80), "z"]);
        insta::assert_snapshot!(grid.finish(), @r"
        ID   TEXT                                                          LAST
        1    two\nlines\u{1b}[2J
        100  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  z
        ");
        assert_eq!(
            fields([
                ("a", "1".to_owned()),
                ("empty", String::new()),
                ("long", "2\r".to_owned())
            ]),
            "a     1\nlong  2\\r"
        );
    }
}
