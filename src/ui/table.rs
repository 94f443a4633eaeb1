use super::words::{pad, width};

/// A small table whose columns are as wide as their widest cell, two spaces apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub fn titled(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(ToString::to_string).collect()] }
    }

    /// A table without titles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The rows as lines without trailing spaces, each cell as `paint` says of its row, column and
    /// padded text.
    pub fn lines(&self, paint: impl Fn(usize, usize, String) -> String) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widest = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let line = |(index, row): (usize, &Vec<String>)| {
            let filled = row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
            let cells: Vec<String> = row[..filled]
                .iter()
                .enumerate()
                .map(|(column, cell)| {
                    let text = if column + 1 == filled { cell.clone() } else { pad(cell, widths[column]) };
                    paint(index, column, text)
                })
                .collect();
            cells.join("  ")
        };
        self.rows.iter().enumerate().map(line).collect()
    }

    /// The whole table without colours.
    pub fn text(&self) -> String {
        self.lines(|_, _, text| text).join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_display_width_and_lines_end_clean() {
        let mut table = Table::titled(&["NAME", "STATE", "WHY"]);
        table.row(["日本", "ready", ""]);
        table.row(["general", "broken", "no room"]);
        assert_eq!(table.text(), "NAME     STATE   WHY\n日本     ready\ngeneral  broken  no room");
    }
}
