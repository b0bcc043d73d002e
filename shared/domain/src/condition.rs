//! Conditions of an action plan's steps:
//! `contact.mobile starts_with "+39" && !(time.hour < 9 || variables.lang = "de")`.
//!
//! ```text
//! any        = all *( "||" all )
//! all        = one *( "&&" one )
//! one        = "!" one / "(" any ")" / comparison
//! comparison = value ( "=" / "!=" / "<" / "<=" / ">" / ">=" / "contains" / "starts_with" ) value
//! value      = name / "text" / 'text' / number          ; in texts, \ takes the next character as it is
//! ```
//! A name is one of [`NAMES`], or a variable: `variables.lang`, or `lang` alone.
//!
//! Conditions are parsed when they are saved. Evaluating one never fails: a variable that was never set is empty.
//! Two values that read as numbers are compared as numbers, unless one of them was written as a text. Everything
//! else is compared as text without regard to case, since customers write as they like.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The names that conditions can use beside variables. Any other name is refused when a condition is saved, because
/// it would be empty for ever.
pub const NAMES: [&str; 25] = [
    "account.id",
    "account.key",
    "account.name",
    "account.phone",
    "contact.firstName",
    "contact.id",
    "contact.language",
    "contact.lastName",
    "contact.mobile",
    "contact.name",
    "contact.phone",
    "interaction.id",
    "interaction.priority",
    "interaction.tags",
    "list.id",
    "list.name",
    "message.text",
    "message.type",
    "time.date",
    "time.day",
    "time.hour",
    "time.minute",
    "time.month",
    "time.time",
    "time.weekday",
];

/// The longest condition, in bytes. Nobody reads a longer one.
pub const LONGEST: usize = 1_000;

/// How deep parentheses and negations may be nested. Parsing and evaluating must not exhaust the stack.
const DEEPEST: usize = 32;

/// A condition. It is stored as it was written: printed anew it could be longer, or deeper, than the parser
/// accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Condition {
    text: String,
    node: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Comparison { left: Value, operator: Operator, right: Value },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// The full name, e.g. `variables.lang`.
    Name(String),
    Text(String),
    /// As it was written.
    Number(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Differs,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Contains,
    StartsWith,
}

/// Longer operators come before their prefixes.
const OPERATORS: [(&str, Operator); 8] = [
    ("!=", Operator::Differs),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("contains", Operator::Contains),
    ("starts_with", Operator::StartsWith),
];

/// The place where a text stops being a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {column}: expected {expected}")]
pub struct ConditionError {
    /// Bytes before the fault.
    pub at: usize,
    /// The number of that character, from 1.
    pub column: usize,
    /// The expected text.
    pub expected: &'static str,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// The text is not a condition. The error holds the place and what was expected there.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        if text.len() > LONGEST {
            // The last character within the limit.
            parser.at = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
            return Err(parser.expected("the end: a condition has at most 1000 bytes"));
        }
        let node = parser.any()?;
        parser.blanks();
        if parser.at < text.len() {
            return Err(parser.expected("&&, || or the end"));
        }
        Ok(Self { text: text.to_owned(), node })
    }

    /// Whether the condition holds. `value` gives the value of a name; the name of a variable comes with its
    /// `variables.`.
    pub fn holds(&self, value: &dyn Fn(&str) -> String) -> bool {
        self.node.holds(value)
    }

    /// Whether the condition uses a name that begins with `prefix`.
    pub fn asks_for(&self, prefix: &str) -> bool {
        self.node.asks_for(prefix)
    }
}

impl TryFrom<String> for Condition {
    type Error = ConditionError;
    fn try_from(text: String) -> Result<Self, ConditionError> {
        Self::parse(&text)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> String {
        condition.text
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Node {
    fn holds(&self, value: &dyn Fn(&str) -> String) -> bool {
        match self {
            Node::Any(nodes) => nodes.iter().any(|node| node.holds(value)),
            Node::All(nodes) => nodes.iter().all(|node| node.holds(value)),
            Node::Not(node) => !node.holds(value),
            Node::Comparison { left, operator, right } => compare(left, *operator, right, value),
        }
    }

    fn asks_for(&self, prefix: &str) -> bool {
        match self {
            Node::Any(nodes) | Node::All(nodes) => nodes.iter().any(|node| node.asks_for(prefix)),
            Node::Not(node) => node.asks_for(prefix),
            Node::Comparison { left, right, .. } => {
                [left, right].iter().any(|side| matches!(side, Value::Name(name) if name.starts_with(prefix)))
            }
        }
    }
}

fn compare(left: &Value, operator: Operator, right: &Value, value: &dyn Fn(&str) -> String) -> bool {
    let read = |side: &Value| match side {
        Value::Name(name) => value(name),
        Value::Text(text) | Value::Number(text) => text.clone(),
    };
    let number = |side: &Value, text: &str| match side {
        Value::Text(_) => None,
        Value::Name(_) | Value::Number(_) => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()),
    };
    let (left_text, right_text) = (read(left), read(right));
    let (left_lower, right_lower) = (left_text.to_lowercase(), right_text.to_lowercase());
    let order = match (number(left, &left_text), number(right, &right_text)) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        _ => left_lower.cmp(&right_lower),
    };
    match operator {
        Operator::Equal => order == Ordering::Equal,
        Operator::Differs => order != Ordering::Equal,
        Operator::Less => order == Ordering::Less,
        Operator::AtMost => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        Operator::AtLeast => order != Ordering::Less,
        Operator::Contains => left_lower.contains(&right_lower),
        Operator::StartsWith => left_lower.starts_with(&right_lower),
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, nodes: &[Node], with: &str, enclosed: fn(&Node) -> bool| {
            for (index, node) in nodes.iter().enumerate() {
                if index > 0 {
                    f.write_str(with)?;
                }
                if enclosed(node) { write!(f, "({node})")? } else { node.fmt(f)? }
            }
            Ok(())
        };
        match self {
            Node::Any(nodes) => joined(f, nodes, " || ", |node| matches!(node, Node::Any(_))),
            Node::All(nodes) => joined(f, nodes, " && ", |node| matches!(node, Node::Any(_) | Node::All(_))),
            Node::Not(node) => write!(f, "!({node})"),
            Node::Comparison { left, operator, right } => {
                let sign = OPERATORS.iter().find(|(_, known)| known == operator).map_or("", |(sign, _)| sign);
                write!(f, "{left} {sign} {right}")
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Name(text) | Value::Number(text) => f.write_str(text),
            Value::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn expected(&self, expected: &'static str) -> ConditionError {
        ConditionError { at: self.at, column: self.text[..self.at].chars().count() + 1, expected }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Skips `sign` if it comes next.
    fn takes(&mut self, sign: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn any(&mut self) -> Result<Node, ConditionError> {
        self.series("||", Self::all, Node::Any)
    }

    fn all(&mut self) -> Result<Node, ConditionError> {
        self.series("&&", Self::one, Node::All)
    }

    fn series(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Result<Node, ConditionError>,
        joined: fn(Vec<Node>) -> Node,
    ) -> Result<Node, ConditionError> {
        let first = part(self)?;
        let mut nodes = vec![first];
        while self.takes(sign) {
            nodes.push(part(self)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { joined(nodes) })
    }

    fn one(&mut self) -> Result<Node, ConditionError> {
        self.blanks();
        let opens = self.rest().starts_with(['(', '!']);
        if opens && self.depth == DEEPEST {
            return Err(self.expected("a comparison: parentheses and negations may be nested 32 deep"));
        }
        self.depth += usize::from(opens);
        let node = if self.takes("!") {
            Node::Not(Box::new(self.one()?))
        } else if self.takes("(") {
            let inner = self.any()?;
            if !self.takes(")") {
                return Err(self.expected("&&, || or )"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= usize::from(opens);
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, ConditionError> {
        let left = self.value()?;
        let operator = self.operator()?;
        let right = self.value()?;
        Ok(Node::Comparison { left, operator, right })
    }

    fn operator(&mut self) -> Result<Operator, ConditionError> {
        self.blanks();
        let word = self.rest().split(|c| !is_of_name(c)).next().unwrap_or_default();
        for (sign, operator) in OPERATORS {
            // `containsx` is not an operator, but `=x` is one followed by a name.
            let found = if sign.starts_with(is_of_name) { word == sign } else { self.rest().starts_with(sign) };
            if found {
                self.at += sign.len();
                return Ok(operator);
            }
        }
        Err(self.expected("=, !=, <, <=, >, >=, contains or starts_with"))
    }

    fn value(&mut self) -> Result<Value, ConditionError> {
        self.blanks();
        match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some(first) if first.is_ascii_digit() || first == '-' => self.number(),
            Some(first) if first.is_ascii_alphabetic() => self.name(),
            _ => Err(self.expected("a name, a number or a text in quotes")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Value, ConditionError> {
        let begin = self.at;
        let mut text = String::new();
        let mut characters = self.text[begin + 1..].char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, taken)) => text.push(taken),
                    None => break,
                },
                _ if character == quote => {
                    self.at = begin + 1 + at + 1;
                    return Ok(Value::Text(text));
                }
                _ => text.push(character),
            }
        }
        self.at = self.text.len();
        Err(self.expected("the quote that ends the text"))
    }

    fn number(&mut self) -> Result<Value, ConditionError> {
        let begin = self.at;
        self.at += usize::from(self.rest().starts_with('-'));
        self.digits()?;
        if self.rest().starts_with('.') {
            self.at += 1;
            self.digits()?;
        }
        if self.rest().starts_with(is_of_name) {
            return Err(self.expected("the end of the number"));
        }
        Ok(Value::Number(self.text[begin..self.at].to_owned()))
    }

    fn digits(&mut self) -> Result<(), ConditionError> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(self.expected("a digit"));
        }
        self.at += digits;
        Ok(())
    }

    fn name(&mut self) -> Result<Value, ConditionError> {
        let begin = self.at;
        let length = self.rest().find(|c| !is_of_name(c) && c != '.').unwrap_or(self.rest().len());
        let name = &self.text[begin..begin + length];
        let full = match name.split_once('.') {
            None => format!("variables.{name}"),
            Some(("variables", _)) => name.to_owned(),
            Some(_) if NAMES.contains(&name) => return Ok(self.found(name.to_owned(), length)),
            Some(_) => {
                return Err(self.expected("a name of account, contact, interaction, list, message, time or variables that exists"));
            }
        };
        let variable = full.strip_prefix("variables.").unwrap_or_default();
        if crate::variables::VariableName::parse(variable).is_err() {
            return Err(self.expected("a variable's name: a letter, then letters, digits or _, at most 32 in all"));
        }
        Ok(self.found(full, length))
    }

    fn found(&mut self, name: String, length: usize) -> Value {
        self.at += length;
        Value::Name(name)
    }
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests;
