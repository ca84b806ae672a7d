//! Sizes and numbers of operations as the tables write them: `2*m*n*k`, `max(m,n)`, `pick(trans=N,m,n)`.

/// A formula over the arguments of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    Name(String),
    Of(Operation, Box<(Expression, Expression)>),
    /// One of two, by whether the argument of a name is a letter.
    Pick(String, char, Box<(Expression, Expression)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Plus,
    Minus,
    Times,
    Over,
    Min,
    Max,
}

/// What the names in a formula stand for.
pub(super) trait Values {
    /// An integer argument.
    fn integer(&self, name: &str) -> Option<f64>;
    /// A letter.
    fn letter(&self, name: &str) -> Option<char>;
}

impl Expression {
    /// Reads a formula; nothing if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text.trim() };
        let whole = parser.sum()?;
        parser.rest.is_empty().then_some(whole)
    }

    /// Its value for a call.
    pub(super) fn value(&self, values: &impl Values) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => values.integer(name),
            Self::Of(operation, sides) => {
                let (left, right) = (sides.0.value(values)?, sides.1.value(values)?);
                Some(match operation {
                    Operation::Plus => left + right,
                    Operation::Minus => left - right,
                    Operation::Times => left * right,
                    Operation::Over => left / right,
                    Operation::Min => left.min(right),
                    Operation::Max => left.max(right),
                })
            }
            Self::Pick(name, letter, sides) => match values.letter(name)? == *letter {
                true => sides.0.value(values),
                false => sides.1.value(values),
            },
        }
    }

    /// The names in it.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::Name(name) => vec![name],
            Self::Of(_, sides) => [sides.0.names(), sides.1.names()].concat(),
            Self::Pick(name, _, sides) => {
                [vec![name.as_str()], sides.0.names(), sides.1.names()].concat()
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn sum(&mut self) -> Option<Expression> {
        let mut left = self.product()?;
        loop {
            let operation = match self.rest.chars().next() {
                Some('+') => Operation::Plus,
                Some('-') => Operation::Minus,
                _ => return Some(left),
            };
            self.skip(1);
            left = Expression::Of(operation, Box::new((left, self.product()?)));
        }
    }

    fn product(&mut self) -> Option<Expression> {
        let mut left = self.factor()?;
        loop {
            let operation = match self.rest.chars().next() {
                Some('*') => Operation::Times,
                Some('/') => Operation::Over,
                _ => return Some(left),
            };
            self.skip(1);
            left = Expression::Of(operation, Box::new((left, self.factor()?)));
        }
    }

    fn factor(&mut self) -> Option<Expression> {
        if self.take("(") {
            let inner = self.sum()?;
            return self.take(")").then_some(inner);
        }
        let word = self.word();
        if word.is_empty() {
            return None;
        }
        if let Ok(number) = word.parse() {
            return Some(Expression::Number(number));
        }
        if !self.take("(") {
            return Some(Expression::Name(word));
        }
        let operation = match word.as_str() {
            "min" => Operation::Min,
            "max" => Operation::Max,
            "pick" => return self.pick(),
            _ => return None,
        };
        Some(Expression::Of(operation, Box::new(self.pair()?)))
    }

    fn pick(&mut self) -> Option<Expression> {
        let name = self.word();
        let letter = self.take("=").then(|| self.word())?;
        let sides = self.take(",").then(|| self.pair())??;
        Some(Expression::Pick(
            name,
            letter.chars().next()?,
            Box::new(sides),
        ))
    }

    /// `left,right)`
    fn pair(&mut self) -> Option<(Expression, Expression)> {
        let left = self.sum()?;
        let right = self.take(",").then(|| self.sum())??;
        self.take(")").then_some((left, right))
    }

    fn word(&mut self) -> String {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = self.rest.find(|letter| !is_part(letter));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word.to_owned()
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip(&mut self, count: usize) {
        self.rest = &self.rest[count..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sizes;

    impl Values for Sizes {
        fn integer(&self, name: &str) -> Option<f64> {
            match name {
                "m" => Some(2.0),
                "n" => Some(3.0),
                _ => None,
            }
        }

        fn letter(&self, name: &str) -> Option<char> {
            (name == "side").then_some('L')
        }
    }

    #[test]
    fn formulas_have_values() {
        let value = |text: &str| Expression::parse(text).unwrap().value(&Sizes);
        assert_eq!(value("2*m*n-n*n/3"), Some(9.0));
        assert_eq!(value("n-m-1"), Some(0.0));
        assert_eq!(value("max(m,n)*(1+min(m,n))"), Some(9.0));
        assert_eq!(value("pick(side=L,m,n)"), Some(2.0));
        assert_eq!(value("pick(side=R,m,pick(side=L,n,0))"), Some(3.0));
        assert_eq!(value("m*x"), None);
        assert_eq!(value("pick(uplo=L,m,n)"), None);
    }

    #[test]
    fn other_text_is_no_formula() {
        for text in ["", "2*", "(m", "sin(m)", "pick(m,n)", "max(m)", "m n"] {
            assert_eq!(Expression::parse(text), None, "{text}");
        }
    }
}
