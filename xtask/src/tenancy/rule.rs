//! The rule: whatever names a table of tenants says of which tenant.
//!
//! A query block (`SELECT`, `UPDATE`, `DELETE`, `INSERT`; each side of a `UNION` and each query in parentheses is one of its own)
//! must, for each table of tenants it names, list `tenant_id` among the columns it inserts, or compare that table's `tenant_id` in
//! `WHERE` or `ON` with a parameter or with the `tenant_id` of something that is bound itself: another such table of the block, or
//! whatever is none (a list of parameters, a `WITH` query, a query around it, which are looked at by themselves).
//!
//! Invariant: what is not understood does not count. A comparison in one arm of an `OR`, under a `NOT`, or in a join that keeps the
//! rows it does not fit, binds nothing.

use std::collections::{BTreeSet, HashSet};

use super::tokens::{Kind, Token};

/// The column that says whose a row is.
pub(super) const COLUMN: &str = "tenant_id";

/// A table that is read or written for all tenants at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unbound {
    pub(super) table: String,
    pub(super) line: usize,
}

/// The tables that a migration gives the column.
pub(super) fn tenant_tables(migration: &[Token]) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    for statement in migration.split(|token| token.is(";")) {
        let [create, table, rest @ ..] = statement else {
            continue;
        };
        if !(create.is("create") || create.is("alter")) || !table.is("table") {
            continue;
        }
        let rest: Vec<&Token> = rest
            .iter()
            .filter(|token| !is_any(token, &["if", "not", "exists"]))
            .collect();
        let Some(name) = rest.first().and_then(|token| token.word()) else {
            continue;
        };
        let columns = rest.iter().skip(1).flat_map(|token| match &token.kind {
            Kind::Group(columns) => columns.iter().collect::<Vec<_>>(),
            _ => vec![*token],
        });
        if columns.into_iter().any(|token| token.is(COLUMN)) {
            tables.insert(name.to_owned());
        }
    }
    tables
}

/// Every table of `tables` that some block of the SQL names without saying of which tenant.
pub(super) fn unbound(sql: &[Token], tables: &BTreeSet<String>) -> Vec<Unbound> {
    let mut found = Vec::new();
    let parts = sql.split(|token| is_any(token, &["union", "intersect", "except", ";"]));
    for part in parts {
        let mut block = Block::default();
        let mut inner = Vec::new();
        flatten(part, &mut block.tokens, &mut inner);
        found.extend(block.unbound(tables));
        for query in inner {
            found.extend(unbound(query, tables));
        }
    }
    found
}

fn is_any(token: &Token, words: &[&str]) -> bool {
    words.iter().any(|word| token.is(word))
}

/// Puts the queries in parentheses aside; other parentheses become symbols.
fn flatten<'a>(tokens: &'a [Token], flat: &mut Vec<Token>, queries: &mut Vec<&'a [Token]>) {
    let symbol = |line, text: &str| Token {
        line,
        kind: Kind::Symbol(text.to_owned()),
    };
    for token in tokens {
        match &token.kind {
            Kind::Group(inside) if is_query(inside) => queries.push(inside),
            Kind::Group(inside) => {
                flat.push(symbol(token.line, "("));
                flatten(inside, flat, queries);
                flat.push(symbol(token.line, ")"));
            }
            _ => flat.push(token.clone()),
        }
    }
}

fn is_query(tokens: &[Token]) -> bool {
    match tokens.first().map(|token| &token.kind) {
        Some(Kind::Group(inside)) => is_query(inside),
        Some(Kind::Word(word)) => matches!(
            word.as_str(),
            "select" | "with" | "insert" | "update" | "delete" | "merge"
        ),
        _ => false,
    }
}

/// Words that end the name of a table, so that they are no alias.
const NO_ALIAS: [&str; 24] = [
    "where",
    "on",
    "set",
    "using",
    "left",
    "right",
    "full",
    "inner",
    "cross",
    "natural",
    "join",
    "order",
    "group",
    "having",
    "limit",
    "offset",
    "fetch",
    "for",
    "returning",
    "values",
    "select",
    "default",
    "window",
    "do",
];

/// Words after which a comparison restricts nothing.
const NO_CONDITION: [&str; 14] = [
    "select",
    "set",
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "fetch",
    "returning",
    "values",
    "window",
    "for",
    "do",
    "from",
];

/// One query without those in its parentheses.
#[derive(Default)]
struct Block {
    tokens: Vec<Token>,
    tables: Vec<Table>,
    comparisons: Vec<Comparison>,
    /// Parentheses and clauses in which no comparison binds.
    loose: HashSet<usize>,
}

struct Table {
    name: String,
    alias: String,
    line: usize,
    bound: bool,
}

/// `left.tenant_id = right`.
struct Comparison {
    left: Option<String>,
    right: Right,
    /// The parentheses around it, from the clause inwards.
    within: Vec<usize>,
    reach: Reach,
}

enum Right {
    Parameter,
    Column(Option<String>),
}

/// Which tables a condition restricts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It is none, or that of an outer join which keeps what it does not fit.
    None,
    All,
    /// It is that of a left join: the table that is joined, if it is one of tenants.
    Only(Option<usize>),
}

/// What a name stands for.
enum Side {
    Table(usize),
    Outside,
    Unknown,
}

impl Block {
    fn unbound(mut self, tables: &BTreeSet<String>) -> Vec<Unbound> {
        self.scan(tables);
        self.bind();
        let unbound = self.tables.into_iter().filter(|table| !table.bound);
        unbound
            .map(|table| Unbound {
                table: table.name,
                line: table.line,
            })
            .collect()
    }

    fn at(&self, place: usize) -> Option<&Token> {
        self.tokens.get(place)
    }

    fn is(&self, place: usize, text: &str) -> bool {
        self.at(place).is_some_and(|token| token.is(text))
    }

    fn before(&self, place: usize, text: &str) -> bool {
        place.checked_sub(1).is_some_and(|place| self.is(place, text))
    }

    fn word(&self, place: usize) -> Option<String> {
        self.at(place)?.word().map(str::to_owned)
    }

    fn scan(&mut self, tables: &BTreeSet<String>) {
        let mut groups = 0;
        let mut reach = Reach::None;
        let mut within = vec![groups];
        let mut outer: Vec<Reach> = Vec::new();
        let mut join = "inner".to_owned();
        let mut joined: Option<usize> = None;
        for place in 0..self.tokens.len() {
            if self.is(place, "(") {
                groups += 1;
                within.push(groups);
                outer.push(reach);
                if self.before(place, "not") {
                    self.loose.insert(groups);
                }
                continue;
            }
            if self.is(place, ")") {
                if let Some(before) = outer.pop() {
                    reach = before;
                    within.pop();
                }
                continue;
            }
            let Some(word) = self.word(place) else { continue };
            let clause = match word.as_str() {
                "where" => Some(Reach::All),
                "on" if self.is(place + 1, "conflict") => Some(Reach::None),
                "on" => Some(match join.as_str() {
                    "inner" => Reach::All,
                    "left" => Reach::Only(joined),
                    _ => Reach::None,
                }),
                // `IS DISTINCT FROM` goes on.
                "from" if self.before(place, "distinct") => None,
                "left" | "right" | "full" if !self.is(place + 1, "(") => {
                    join.clone_from(&word);
                    Some(Reach::None)
                }
                "inner" | "cross" => {
                    "inner".clone_into(&mut join);
                    Some(Reach::None)
                }
                "join" => {
                    let kind = ["left", "right", "full", "outer"]
                        .iter()
                        .any(|kind| self.before(place, kind));
                    if !kind {
                        "inner".clone_into(&mut join);
                    }
                    joined = None;
                    Some(Reach::None)
                }
                "or" => {
                    self.loose.extend(within.last());
                    None
                }
                other if NO_CONDITION.contains(&other) => Some(Reach::None),
                _ => None,
            };
            if let Some(clause) = clause {
                reach = clause;
                // The same parenthesis, but another clause in it.
                groups += 1;
                within.pop();
                within.push(groups);
            } else if tables.contains(&word) && !self.is(place + 1, ".") {
                joined = Some(self.tables.len());
                self.table(place, word);
            } else if word == COLUMN && reach != Reach::None {
                self.comparison(place, &within, reach);
            }
        }
    }

    fn table(&mut self, place: usize, name: String) {
        let mut next = place + 1;
        next += usize::from(self.is(next, "as"));
        let alias = self.word(next).filter(|word| !NO_ALIAS.contains(&word.as_str()));
        next += usize::from(alias.is_some());
        // The columns that are inserted.
        let bound = self.before(place, "into") && self.is(next, "(") && {
            let columns = self.tokens[next..].iter().take_while(|token| !token.is(")"));
            columns.into_iter().any(|token| token.is(COLUMN))
        };
        self.tables.push(Table {
            alias: alias.unwrap_or_else(|| name.clone()),
            name,
            line: self.tokens[place].line,
            bound,
        });
    }

    fn qualifier(&self, place: usize) -> Option<String> {
        if !self.before(place, ".") {
            return None;
        }
        place.checked_sub(2).and_then(|place| self.word(place))
    }

    /// Of `x.tenant_id = …`, where `place` is that of the column.
    fn comparison(&mut self, place: usize, within: &[usize], reach: Reach) {
        let left = self.qualifier(place);
        let begin = if left.is_some() { place - 2 } else { place };
        if self.before(begin, "not") {
            return;
        }
        // `(x.tenant_id || '') = …` keeps an index from being used and is the same comparison.
        let mut next = place + 1;
        if self.is(next, "||") && self.at(next + 1).is_some_and(|token| token.kind == Kind::Literal) {
            next += 2;
            next += usize::from(self.is(next, ")"));
        }
        if !self.is(next, "=") {
            return;
        }
        next += 1;
        if self.is(next, "any") && self.is(next + 1, "(") {
            next += 2;
        }
        let right = match self.at(next).map(|token| &token.kind) {
            Some(Kind::Parameter) => Right::Parameter,
            Some(Kind::Word(word)) if word == COLUMN => Right::Column(None),
            Some(Kind::Word(word)) if self.is(next + 1, ".") && self.is(next + 2, COLUMN) => {
                Right::Column(Some(word.clone()))
            }
            _ => return,
        };
        self.comparisons.push(Comparison {
            left,
            right,
            within: within.to_vec(),
            reach,
        });
    }

    fn side(&self, qualifier: Option<&str>) -> Side {
        match qualifier {
            Some(alias) => match self.tables.iter().position(|table| table.alias == alias) {
                Some(table) => Side::Table(table),
                None => Side::Outside,
            },
            None if self.tables.len() == 1 => Side::Table(0),
            None => Side::Unknown,
        }
    }

    /// Binds what is compared with something bound, until nothing more follows.
    fn bind(&mut self) {
        loop {
            let found = self.comparisons.iter().find_map(|comparison| self.binds(comparison));
            let Some(table) = found else { return };
            self.tables[table].bound = true;
        }
    }

    /// The table that a comparison binds and that is not bound yet.
    fn binds(&self, comparison: &Comparison) -> Option<usize> {
        if comparison.within.iter().any(|group| self.loose.contains(group)) {
            return None;
        }
        let left = self.side(comparison.left.as_deref());
        let right = match &comparison.right {
            Right::Parameter => Side::Outside,
            Right::Column(qualifier) => self.side(qualifier.as_deref()),
        };
        let reached = |table: usize| match comparison.reach {
            Reach::All => true,
            Reach::Only(joined) => joined == Some(table),
            Reach::None => false,
        };
        let fresh = |table: usize| (!self.tables[table].bound && reached(table)).then_some(table);
        match (left, right) {
            (Side::Table(table), Side::Outside) | (Side::Outside, Side::Table(table)) => fresh(table),
            (Side::Table(left), Side::Table(right)) if self.tables[left].bound => fresh(right),
            (Side::Table(left), Side::Table(right)) if self.tables[right].bound => fresh(left),
            _ => None,
        }
    }
}
