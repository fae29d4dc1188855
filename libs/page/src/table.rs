//! [`Table`]: figures in rows, with a caption, units and row headers, in a container that scrolls on narrow screens.

use crate::html::{Html, element};
use crate::number::counted;

#[derive(Debug, Clone)]
pub struct Table {
    /// Unique in the page.
    pub id: String,
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// A sentence that states where to find the rows that are not shown: `12 more rows are in modules.json`.
    pub more: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Column {
    /// Name of the column in the attribute `data-col` of its cells, for scripts.
    pub key: &'static str,
    pub head: String,
    /// Unit, which is shown beside the head. Empty if the cells contain their units.
    pub unit: String,
    /// Numbers are aligned at their end.
    pub is_number: bool,
    /// Explanation that is shown on hover and focus.
    pub tip: String,
}

impl Column {
    pub fn text(key: &'static str, head: &str) -> Self {
        Self {
            key,
            head: head.to_owned(),
            unit: String::new(),
            is_number: false,
            tip: String::new(),
        }
    }

    pub fn number(key: &'static str, head: &str) -> Self {
        Self {
            is_number: true,
            ..Self::text(key, head)
        }
    }

    pub fn unit(mut self, unit: &str) -> Self {
        unit.clone_into(&mut self.unit);
        self
    }

    pub fn tip(mut self, tip: &str) -> Self {
        tip.clone_into(&mut self.tip);
        self
    }
}

/// A row with a cell for each column. The first cell is the header. Missing cells are empty, and surplus ones are left out.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Name of the row in the attribute `data-row`, for scripts. Empty if there is none.
    pub key: String,
    pub cells: Vec<Html>,
}

impl Row {
    pub fn new<T: Into<Html>>(cells: impl IntoIterator<Item = T>) -> Self {
        Self {
            key: String::new(),
            cells: cells.into_iter().map(Into::into).collect(),
        }
    }

    pub fn key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }
}

impl Table {
    pub fn new(id: &str, caption: &str, columns: Vec<Column>) -> Self {
        Self {
            id: id.to_owned(),
            caption: caption.to_owned(),
            columns,
            rows: Vec::new(),
            more: None,
        }
    }

    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// States where to find the `rows` rows that are not shown: `12 more are in PLACE.` `one` and `more` are the verb for one
    /// row and for several. They can begin with a noun.
    pub fn left_out(&mut self, rows: usize, [one, more]: [&str; 2], place: &str) {
        let rows = rows as u64;
        let text = || {
            let rows = counted(rows, &format!("more {one}"), &format!("more {more}"));
            format!("{rows} {place}")
        };
        self.more = (rows > 0).then(text);
    }

    /// The table in its container.
    pub fn html(&self) -> Html {
        let heads = self.columns.iter().map(head);
        let head = element("thead").child(element("tr").children(heads));
        let body = element("tbody").children(self.rows.iter().map(|row| self.body_row(row)));
        let table = element("table")
            .attr("id", &self.id)
            .child(element("caption").child(&self.caption))
            .child(head)
            .child(body);
        let scroll = element("div")
            .class("scroll")
            // A region would be a landmark, and a section may have the same name. So this is a group.
            .attr("role", "group")
            .attr("aria-label", &self.caption)
            .attr("tabindex", "0")
            .child(table);
        let empty = self.rows.is_empty().then_some("No rows.");
        let more = self.more.as_deref().or(empty);
        let more = more.map(|more| element("p").class("more").child(more));
        element("div").class("table").child(scroll).child(more).build()
    }

    fn body_row(&self, row: &Row) -> Html {
        let key = (!row.key.is_empty()).then_some(&row.key);
        let none = Html::new();
        let cells = self.columns.iter().enumerate().map(|(index, column)| {
            let cell = match index {
                0 => element("th").attr("scope", "row"),
                _ => element("td"),
            };
            let cell = cell.attr_if("class", column.is_number.then_some("number"));
            let content = row.cells.get(index).unwrap_or(&none);
            cell.attr("data-col", column.key).child(content.clone())
        });
        element("tr").attr_if("data-row", key).children(cells).build()
    }
}

fn head(column: &Column) -> Html {
    let unit = (!column.unit.is_empty()).then(|| element("span").class("unit").child(&column.unit));
    let separator = unit.is_some().then_some(" ");
    let name = match column.tip.is_empty() {
        true => Html::text(&column.head),
        false => element("span")
            .class("explained")
            .attr("data-tip", &column.tip)
            .attr("tabindex", "0")
            .child(&column.head)
            .build(),
    };
    element("th")
        .attr("scope", "col")
        .attr_if("class", column.is_number.then_some("number"))
        .child(name)
        .child(separator)
        .child(unit)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_as_many_cells_as_there_are_columns() {
        let columns = vec![
            Column::text("module", "Module"),
            Column::number("p99", "p99").unit("ms"),
        ];
        let mut table = Table::new("t", "<Modules>", columns);
        table.row(Row::new(["a"]).key("a"));
        table.row(Row::new(["<b>", "1", "2"]));
        table.more = Some("3 more rows are in modules.json".to_owned());
        let html = table.html().into_string();
        assert!(html.contains("<tr data-row=\"a\"><th scope=\"row\" data-col=\"module\">a</th><td class=\"number\" data-col=\"p99\"></td></tr>"), "{html}");
        assert!(html.contains("<tr><th scope=\"row\" data-col=\"module\">&lt;b&gt;</th><td class=\"number\" data-col=\"p99\">1</td></tr>"), "{html}");
        assert!(
            html.contains("<th scope=\"col\" class=\"number\">p99 <span class=\"unit\">ms</span></th>"),
            "{html}"
        );
        assert!(
            html.contains("aria-label=\"&lt;Modules&gt;\"") && html.contains("3 more rows"),
            "{html}"
        );
    }

    #[test]
    fn rows_that_are_left_out_are_counted_and_none_is_no_sentence() {
        let mut table = Table::new("t", "T", Vec::new());
        let found = [0, 1, 2000].map(|rows| {
            table.left_out(rows, ["row is", "rows are"], "in a.json.");
            table.more.clone().unwrap_or_default()
        });
        assert_eq!(
            found,
            ["", "1 more row is in a.json.", "2,000 more rows are in a.json."]
        );
    }
}
