//! The subset's grammar.

/// Octets of a query at most.
const OCTETS: usize = 16 * 1024;
/// Parentheses and NOTs within each other at most.
const DEPTH: usize = 32;

/// One query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The class.
    pub class: String,
    /// What a row has to fulfil; without it every row counts.
    pub condition: Option<Condition>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of them.
    And(Vec<Condition>),
    /// One of them.
    Or(Vec<Condition>),
    /// Not it.
    Not(Box<Condition>),
    /// A comparison.
    Compare {
        /// The property.
        property: String,
        /// How.
        operator: Operator,
        /// With what.
        literal: Literal,
    },
}

impl Condition {
    /// The properties that it asks for.
    #[must_use]
    pub fn properties(&self) -> Vec<&str> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::properties).collect(),
            Self::Not(part) => part.properties(),
            Self::Compare { property, .. } => vec![property],
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Like,
}

/// A literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// In quotes.
    Text(String),
    /// A whole number.
    Number(i64),
    /// TRUE or FALSE.
    Boolean(bool),
    /// NULL.
    Null,
}

/// A query that lies outside the subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the query lies outside the subset")]
pub struct Outside;

/// Reads one query.
pub fn query(text: &str) -> Result<Query, Outside> {
    if text.len() > OCTETS {
        return Err(Outside);
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, depth: 0 };
    parser.word("SELECT")?;
    if !parser.symbol("*") {
        loop {
            parser.name()?;
            if !parser.symbol(",") {
                break;
            }
        }
    }
    parser.word("FROM")?;
    let class = parser.name()?;
    let condition = if parser.is_word("WHERE") { Some(parser.any()?) } else { None };
    if parser.tokens.is_empty() { Ok(Query { class, condition }) } else { Err(Outside) }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Number(i64),
    Symbol(&'static str),
}

fn tokens(text: &str) -> Result<Vec<Token>, Outside> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, behind) = match first {
            '"' | '\'' => quoted(&rest[1..], first)?,
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), &rest[end..])
            }
            c if c.is_ascii_digit() || c == '-' => {
                let end = rest[1..]
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                    .map_or(rest.len(), |end| end + 1);
                (Token::Number(rest[..end].parse().map_err(|_| Outside)?), &rest[end..])
            }
            _ => {
                const SYMBOLS: [&str; 11] = ["<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", "*", ","];
                let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)).ok_or(Outside)?;
                (Token::Symbol(symbol), &rest[symbol.len()..])
            }
        };
        tokens.push(token);
        rest = behind.trim_start();
    }
    Ok(tokens)
}

/// A text in quotes; a backslash takes the next character as it is.
fn quoted(text: &str, quote: char) -> Result<(Token, &str), Outside> {
    let mut content = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => content.push(chars.next().ok_or(Outside)?.1),
            c if c == quote => return Ok((Token::Text(content), &text[at + c.len_utf8()..])),
            c => content.push(c),
        }
    }
    Err(Outside)
}

struct Parser<'t> {
    tokens: &'t [Token],
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Condition, Outside> {
        let mut parts = vec![self.all()?];
        while self.is_word("OR") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Condition::Or))
    }

    fn all(&mut self) -> Result<Condition, Outside> {
        let mut parts = vec![self.part()?];
        while self.is_word("AND") {
            parts.push(self.part()?);
        }
        Ok(one_or(parts, Condition::And))
    }

    fn part(&mut self) -> Result<Condition, Outside> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Outside);
        }
        let part = if self.is_word("NOT") {
            Condition::Not(Box::new(self.part()?))
        } else if self.symbol("(") {
            let inner = self.any()?;
            if !self.symbol(")") {
                return Err(Outside);
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(part)
    }

    fn comparison(&mut self) -> Result<Condition, Outside> {
        // The literal may stand first: `5 < Size`.
        if matches!(self.tokens.first(), Some(Token::Text(_) | Token::Number(_))) {
            let literal = self.literal()?;
            let operator = self.operator()?;
            let property = self.name()?;
            let operator = match operator {
                Operator::Less => Operator::Greater,
                Operator::AtMost => Operator::AtLeast,
                Operator::Greater => Operator::Less,
                Operator::AtLeast => Operator::AtMost,
                Operator::Like => return Err(Outside),
                same => same,
            };
            return Ok(Condition::Compare { property, operator, literal });
        }
        let property = self.name()?;
        if self.is_word("IS") {
            let operator = if self.is_word("NOT") { Operator::NotEqual } else { Operator::Equal };
            self.word("NULL")?;
            return Ok(Condition::Compare { property, operator, literal: Literal::Null });
        }
        let not = self.is_word("NOT");
        if self.is_word("LIKE") {
            let Literal::Text(pattern) = self.literal()? else { return Err(Outside) };
            like("", &pattern).ok_or(Outside)?;
            let like =
                Condition::Compare { property, operator: Operator::Like, literal: Literal::Text(pattern) };
            return Ok(if not { Condition::Not(Box::new(like)) } else { like });
        }
        if not {
            return Err(Outside);
        }
        let operator = self.operator()?;
        Ok(Condition::Compare { property, operator, literal: self.literal()? })
    }

    fn operator(&mut self) -> Result<Operator, Outside> {
        let Some((Token::Symbol(symbol), rest)) = self.tokens.split_first() else { return Err(Outside) };
        let operator = match *symbol {
            "=" => Operator::Equal,
            "<>" | "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            ">" => Operator::Greater,
            ">=" => Operator::AtLeast,
            _ => return Err(Outside),
        };
        self.tokens = rest;
        Ok(operator)
    }

    fn literal(&mut self) -> Result<Literal, Outside> {
        let (token, rest) = self.tokens.split_first().ok_or(Outside)?;
        self.tokens = rest;
        match token {
            Token::Text(text) => Ok(Literal::Text(text.clone())),
            Token::Number(number) => Ok(Literal::Number(*number)),
            Token::Word(word) if word.eq_ignore_ascii_case("TRUE") => Ok(Literal::Boolean(true)),
            Token::Word(word) if word.eq_ignore_ascii_case("FALSE") => Ok(Literal::Boolean(false)),
            Token::Word(word) if word.eq_ignore_ascii_case("NULL") => Ok(Literal::Null),
            _ => Err(Outside),
        }
    }

    fn name(&mut self) -> Result<String, Outside> {
        const RESERVED: [&str; 12] =
            ["SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IS", "ISA", "NULL", "GROUP", "WITHIN"];
        match self.tokens.split_first() {
            Some((Token::Word(word), rest)) if !RESERVED.iter().any(|r| r.eq_ignore_ascii_case(word)) => {
                self.tokens = rest;
                Ok(word.clone())
            }
            _ => Err(Outside),
        }
    }

    fn word(&mut self, wanted: &str) -> Result<(), Outside> {
        if self.is_word(wanted) { Ok(()) } else { Err(Outside) }
    }

    fn is_word(&mut self, wanted: &str) -> bool {
        match self.tokens.split_first() {
            Some((Token::Word(word), rest)) if word.eq_ignore_ascii_case(wanted) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn symbol(&mut self, wanted: &str) -> bool {
        match self.tokens.split_first() {
            Some((Token::Symbol(symbol), rest)) if *symbol == wanted => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

fn one_or(mut parts: Vec<Condition>, all: fn(Vec<Condition>) -> Condition) -> Condition {
    if parts.len() == 1 { parts.remove(0) } else { all(parts) }
}

/// Whether a text is like a pattern; `None` where the pattern is none.
pub(super) fn like(text: &str, pattern: &str) -> Option<bool> {
    let pieces = pieces(pattern)?;
    let text: Vec<char> = crate::policy::fold::fold(text).chars().collect();
    // Which beginnings of the text the pieces so far can stand for.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for piece in &pieces {
        let mut next = vec![false; text.len() + 1];
        match piece {
            Piece::Any => {
                let first = reached.iter().position(|reached| *reached);
                if let Some(first) = first {
                    next[first..].fill(true);
                }
            }
            one => {
                for at in 0..text.len() {
                    next[at + 1] = reached[at] && one.takes(text[at]);
                }
            }
        }
        reached = next;
    }
    Some(reached[text.len()])
}

enum Piece {
    Any,
    One,
    Char(char),
    Set(bool, Vec<(char, char)>),
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Char(own) => *own == c,
            Self::Set(not, ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
        }
    }
}

fn pieces(pattern: &str) -> Option<Vec<Piece>> {
    let pattern: Vec<char> = crate::policy::fold::fold(pattern).chars().collect();
    let mut pieces = Vec::new();
    let mut rest = pattern.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        pieces.push(match first {
            '%' => Piece::Any,
            '_' => Piece::One,
            '[' => {
                let close = rest.iter().skip(1).position(|c| *c == ']')? + 1;
                let (not, inner) = match rest[..close].split_first()? {
                    ('^', inner) => (true, inner),
                    _ => (false, &rest[..close]),
                };
                rest = &rest[close + 1..];
                Piece::Set(not, ranges(inner)?)
            }
            c => Piece::Char(*c),
        });
    }
    Some(pieces)
}

fn ranges(inner: &[char]) -> Option<Vec<(char, char)>> {
    let mut ranges = Vec::new();
    let mut rest = inner;
    while let Some((from, behind)) = rest.split_first() {
        rest = behind;
        // `a-f`, and `a=f`, which WQL takes as well.
        match rest {
            ['-' | '=', to, behind @ ..] => {
                ranges.push((*from, *to));
                rest = behind;
            }
            _ => ranges.push((*from, *from)),
        }
    }
    (!ranges.is_empty()).then_some(ranges)
}
