//! Evaluates constant expressions according to the rules of C.

use std::iter::Peekable;
use std::str::Chars;

use super::ast::{BaseType, BinaryOperator, Expression, ExpressionKind, TypeName, UnaryOperator};
use super::diagnostic::{Diagnostic, quoted};
use super::source::Span;
use super::token::Name;

/// The value of a constant expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(Integer),
    Float(f64),
    String { text: Name, wide: bool },
}

/// An integer with its C type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integer {
    pub(crate) value: i128,
    is_unsigned: bool,
    is_long: bool,
}

/// The reason why an expression can't be evaluated.
#[derive(Debug)]
pub(crate) enum EvaluationError {
    /// The expression is invalid.
    Invalid(Box<Diagnostic>),
    /// The expression is valid, but its value is unknown. It depends on a parameter or on the size
    /// of a type.
    NotConstant,
}

/// Resolves the names in an expression.
pub(crate) trait Environment {
    /// Returns the value of a name.
    fn value(&self, name: &Name, span: Span) -> Result<Value, EvaluationError>;

    /// Returns whether a name refers to a type. If it does, `(name) - 1` is a cast.
    fn is_type(&self, name: &str) -> bool;

    /// Returns the size of a type in bytes.
    fn size(&self, of: &TypeName) -> Result<u64, EvaluationError>;

    /// Returns the integer type of a cast.
    fn integer_type(&self, to: &TypeName) -> Option<IntegerType>;
}

/// The width of an integer type, and whether it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IntegerType {
    pub(crate) bits: u32,
    pub(crate) is_unsigned: bool,
}

impl Integer {
    pub(crate) fn new(value: i128) -> Self {
        Self { value, is_unsigned: false, is_long: i32::try_from(value).is_err() }
    }

    fn truth(value: bool) -> Self {
        Self::new(value.into())
    }

    /// Returns the value truncated to the width of its type.
    fn wrapped(self) -> Self {
        let bits = if self.is_long { 64 } else { 32 };
        let of = IntegerType { bits, is_unsigned: self.is_unsigned };
        Self { value: of.wrap(self.value), ..self }
    }
}

impl IntegerType {
    pub(crate) fn of(base: BaseType) -> Option<Self> {
        let (bits, is_unsigned) = match base {
            BaseType::Boolean | BaseType::Byte | BaseType::UnsignedChar | BaseType::UInt8 => {
                (8, true)
            }
            BaseType::Char | BaseType::SignedChar | BaseType::Int8 => (8, false),
            BaseType::WideChar | BaseType::UInt16 => (16, true),
            BaseType::Int16 => (16, false),
            BaseType::Int32 => (32, false),
            BaseType::UInt32 | BaseType::ErrorStatus => (32, true),
            BaseType::Int64 | BaseType::IntPointer => (64, false),
            BaseType::UInt64 | BaseType::UIntPointer => (64, true),
            _ => return None,
        };
        Some(Self { bits, is_unsigned })
    }

    /// Returns whether the value fits into the type's width, as a signed or as an unsigned number.
    /// For example, -1 is often written as `0xffffffff`.
    pub(crate) fn holds(self, value: i128) -> bool {
        let range = 1_i128 << self.bits;
        (-range / 2..range).contains(&value)
    }

    fn wrap(self, value: i128) -> i128 {
        let range = 1_i128 << self.bits;
        let value = value.rem_euclid(range);
        if self.is_unsigned || value < range / 2 { value } else { value - range }
    }
}

/// Evaluates an expression.
pub(crate) fn evaluate(
    expression: &Expression,
    environment: &dyn Environment,
) -> Result<Value, EvaluationError> {
    let evaluate = |part: &Expression| evaluate(part, environment);
    match &expression.kind {
        ExpressionKind::Number(text) => number(text, expression.span),
        ExpressionKind::String { text, wide } => {
            Ok(Value::String { text: text.clone(), wide: *wide })
        }
        ExpressionKind::Character { text, .. } => character(text, expression.span),
        ExpressionKind::Name(name) => environment.value(name, expression.span),
        ExpressionKind::Parenthesized(inner) => evaluate(inner),
        ExpressionKind::Unary(operator, operand) => {
            unary(*operator, evaluate(operand)?, expression.span)
        }
        ExpressionKind::Binary(BinaryOperator::And, left, right) => {
            let both =
                is_true(evaluate(left)?, left.span)? && is_true(evaluate(right)?, right.span)?;
            Ok(Value::Integer(Integer::truth(both)))
        }
        ExpressionKind::Binary(BinaryOperator::Or, left, right) => {
            let any =
                is_true(evaluate(left)?, left.span)? || is_true(evaluate(right)?, right.span)?;
            Ok(Value::Integer(Integer::truth(any)))
        }
        ExpressionKind::Binary(operator, left, right) => {
            // `(DWORD) - 1` is a cast if `DWORD` is a type, and a subtraction otherwise.
            match (&left.kind, sign(*operator)) {
                (ExpressionKind::Parenthesized(inner), Some(sign))
                    if inner.as_name().is_some_and(|name| environment.is_type(name)) =>
                {
                    unary(sign, evaluate(right)?, expression.span)
                }
                _ => binary(*operator, evaluate(left)?, evaluate(right)?, expression.span),
            }
        }
        ExpressionKind::Conditional(condition, then, otherwise) => {
            let holds = is_true(evaluate(condition)?, condition.span)?;
            evaluate(if holds { then } else { otherwise })
        }
        ExpressionKind::Cast(to, operand) => {
            match (evaluate(operand)?, environment.integer_type(to)) {
                (Value::Integer(integer), Some(to)) => Ok(Value::Integer(Integer {
                    value: to.wrap(integer.value),
                    is_unsigned: to.is_unsigned && to.bits >= 32,
                    is_long: to.bits > 32,
                })),
                (value, _) => Ok(value),
            }
        }
        ExpressionKind::SizeOfType(of) => {
            let size = environment.size(of)?;
            Ok(Value::Integer(Integer { is_unsigned: true, ..Integer::new(size.into()) }))
        }
        ExpressionKind::SizeOf(_)
        | ExpressionKind::Uuid(_)
        | ExpressionKind::Member(..)
        | ExpressionKind::Index(..)
        | ExpressionKind::Call(..) => Err(EvaluationError::NotConstant),
    }
}

/// Parses a number in C notation.
pub(crate) fn number(text: &Name, span: Span) -> Result<Value, EvaluationError> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(hexadecimal) => (hexadecimal, 16),
        None if lower.len() > 1 && lower.starts_with('0') && !lower.contains(['.', 'e']) => {
            (&lower[1..], 8)
        }
        None => (lower.as_str(), 10),
    };
    if radix == 10 && lower.contains(['.', 'e']) {
        let value = lower.strip_suffix(['f', 'l']).unwrap_or(&lower).parse();
        return value.map(Value::Float).map_err(|_| wrong_number(text, span));
    }
    let length = digits.bytes().take_while(|digit| (*digit as char).is_digit(radix)).count();
    let (digits, suffix) = digits.split_at(length);
    let digits = if digits.is_empty() && radix == 8 { "0" } else { digits };
    if !matches!(suffix, "" | "u" | "l" | "ul" | "lu" | "ll" | "ull" | "llu" | "i64" | "ui64") {
        return Err(wrong_number(text, span));
    }
    let value = u64::from_str_radix(digits, radix).map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow => {
            let message = format!("number {} doesn't fit in 64 bits", quoted(text));
            EvaluationError::Invalid(Box::new(Diagnostic::error(span, message)))
        }
        _ => wrong_number(text, span),
    })?;
    let is_long = u32::try_from(value).is_err() || suffix.contains("ll") || suffix.contains("i64");
    let fits_signed = if is_long { value >> 63 == 0 } else { value >> 31 == 0 };
    let is_unsigned = suffix.contains('u') || !fits_signed;
    Ok(Value::Integer(Integer { value: value.into(), is_unsigned, is_long }))
}

fn wrong_number(text: &Name, span: Span) -> EvaluationError {
    let message = format!("{} isn't a number", quoted(text));
    EvaluationError::Invalid(Box::new(
        Diagnostic::error(span, message).hint(
            "a number is decimal, hexadecimal (0x1F) or octal (017), with u, l or ll after it",
        ),
    ))
}

/// Returns the value of a character constant. If it has several characters, the last one is the
/// least significant byte.
fn character(text: &Name, span: Span) -> Result<Value, EvaluationError> {
    let mut characters = text.chars().peekable();
    let mut value: i128 = 0;
    let mut count = 0;
    while let Some(character) = characters.next() {
        let code = if character == '\\' { escape(&mut characters) } else { u32::from(character) };
        value = (value << 8 | i128::from(code)) & 0xffff_ffff;
        count += 1;
    }
    if count == 0 {
        let diagnostic = Diagnostic::error(span, "character constant without a character");
        return Err(EvaluationError::Invalid(Box::new(diagnostic)));
    }
    Ok(Value::Integer(Integer::new(value)))
}

/// Returns the character for an escape sequence. The backslash has already been read.
fn escape(characters: &mut Peekable<Chars<'_>>) -> u32 {
    match characters.next() {
        Some('n') => 10,
        Some('t') => 9,
        Some('r') => 13,
        Some('a') => 7,
        Some('b') => 8,
        Some('f') => 12,
        Some('v') => 11,
        Some('x') => digits(characters, 0, 16, 4),
        Some(first @ '0'..='7') => digits(characters, u32::from(first) - u32::from('0'), 8, 2),
        Some(itself) => itself.into(),
        None => '\\'.into(),
    }
}

/// Reads up to `count_max` further digits and returns the number. `first` is the value read so far.
fn digits(characters: &mut Peekable<Chars<'_>>, first: u32, radix: u32, count_max: usize) -> u32 {
    let mut value = first;
    for _ in 0..count_max {
        let Some(digit) = characters.peek().and_then(|next| next.to_digit(radix)) else { break };
        value = value * radix + digit;
        characters.next();
    }
    value
}

fn is_true(value: Value, span: Span) -> Result<bool, EvaluationError> {
    match value {
        Value::Integer(integer) => Ok(integer.value != 0),
        Value::Float(float) => Ok(float != 0.0),
        Value::String { .. } => Err(wrong_operand(span)),
    }
}

fn sign(operator: BinaryOperator) -> Option<UnaryOperator> {
    match operator {
        BinaryOperator::Add => Some(UnaryOperator::Plus),
        BinaryOperator::Subtract => Some(UnaryOperator::Minus),
        _ => None,
    }
}

fn unary(operator: UnaryOperator, operand: Value, span: Span) -> Result<Value, EvaluationError> {
    let integer = match (operator, operand) {
        (UnaryOperator::Dereference | UnaryOperator::AddressOf, _) => {
            return Err(EvaluationError::NotConstant);
        }
        (_, Value::String { .. }) => return Err(wrong_operand(span)),
        (UnaryOperator::Plus, operand) => return Ok(operand),
        (UnaryOperator::Minus, Value::Float(float)) => return Ok(Value::Float(-float)),
        (UnaryOperator::Not, operand) => Integer::truth(!is_true(operand, span)?),
        (UnaryOperator::Complement, Value::Float(_)) => return Err(wrong_operand(span)),
        (UnaryOperator::Minus, Value::Integer(of)) => Integer { value: -of.value, ..of }.wrapped(),
        (UnaryOperator::Complement, Value::Integer(of)) => {
            Integer { value: !of.value, ..of }.wrapped()
        }
    };
    Ok(Value::Integer(integer))
}

fn binary(
    operator: BinaryOperator,
    left: Value,
    right: Value,
    span: Span,
) -> Result<Value, EvaluationError> {
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => {
            integers(operator, left, right, span).map(Value::Integer)
        }
        (Value::Float(left), Value::Float(right)) => floats(operator, left, right, span),
        (Value::Float(left), Value::Integer(right)) => {
            floats(operator, left, right.value as f64, span)
        }
        (Value::Integer(left), Value::Float(right)) => {
            floats(operator, left.value as f64, right, span)
        }
        (Value::String { .. }, _) | (_, Value::String { .. }) => Err(wrong_operand(span)),
    }
}

fn integers(
    operator: BinaryOperator,
    left: Integer,
    right: Integer,
    span: Span,
) -> Result<Integer, EvaluationError> {
    let (a, b) = (left.value, right.value);
    let is_unsigned = left.is_unsigned || right.is_unsigned;
    let is_long = left.is_long || right.is_long;
    let bits = if left.is_long { 64 } else { 32 };
    let shifted = || {
        u32::try_from(b).ok().filter(|count| *count < bits).ok_or_else(|| {
            let message = format!("{b} isn't a number of bits to shift by");
            EvaluationError::Invalid(Box::new(Diagnostic::error(span, message)))
        })
    };
    let value = match operator {
        BinaryOperator::Multiply => a.wrapping_mul(b),
        BinaryOperator::Divide | BinaryOperator::Remainder if b == 0 => {
            return Err(EvaluationError::Invalid(Box::new(Diagnostic::error(
                span,
                "division by zero",
            ))));
        }
        BinaryOperator::Divide => a / b,
        BinaryOperator::Remainder => a % b,
        BinaryOperator::Add => a + b,
        BinaryOperator::Subtract => a - b,
        BinaryOperator::ShiftLeft => {
            return Ok(Integer { value: a << shifted()?, ..left }.wrapped());
        }
        BinaryOperator::ShiftRight => return Ok(Integer { value: a >> shifted()?, ..left }),
        BinaryOperator::BitAnd => a & b,
        BinaryOperator::BitXor => a ^ b,
        BinaryOperator::BitOr => a | b,
        BinaryOperator::Less => return Ok(Integer::truth(a < b)),
        BinaryOperator::LessEqual => return Ok(Integer::truth(a <= b)),
        BinaryOperator::Greater => return Ok(Integer::truth(a > b)),
        BinaryOperator::GreaterEqual => return Ok(Integer::truth(a >= b)),
        BinaryOperator::Equal => return Ok(Integer::truth(a == b)),
        BinaryOperator::NotEqual => return Ok(Integer::truth(a != b)),
        BinaryOperator::And => return Ok(Integer::truth(a != 0 && b != 0)),
        BinaryOperator::Or => return Ok(Integer::truth(a != 0 || b != 0)),
    };
    Ok(Integer { value, is_unsigned, is_long }.wrapped())
}

fn floats(operator: BinaryOperator, a: f64, b: f64, span: Span) -> Result<Value, EvaluationError> {
    let truth = |value| Ok(Value::Integer(Integer::truth(value)));
    match operator {
        BinaryOperator::Multiply => Ok(Value::Float(a * b)),
        BinaryOperator::Divide => Ok(Value::Float(a / b)),
        BinaryOperator::Add => Ok(Value::Float(a + b)),
        BinaryOperator::Subtract => Ok(Value::Float(a - b)),
        BinaryOperator::Less => truth(a < b),
        BinaryOperator::LessEqual => truth(a <= b),
        BinaryOperator::Greater => truth(a > b),
        BinaryOperator::GreaterEqual => truth(a >= b),
        BinaryOperator::Equal => truth(a == b),
        BinaryOperator::NotEqual => truth(a != b),
        _ => Err(wrong_operand(span)),
    }
}

fn wrong_operand(span: Span) -> EvaluationError {
    let message = "this operator has no meaning for values of this type";
    EvaluationError::Invalid(Box::new(Diagnostic::error(span, message)))
}
