//! Colours: the sixteen that every terminal has, so that its own light or dark theme decides, and none with `NO_COLOR`.

use ratatui::style::{Color, Modifier, Style};

#[derive(Clone, Copy)]
pub struct Theme {
    has_colour: bool,
}

impl Theme {
    /// By <https://no-color.org>.
    pub fn of_environment() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            has_colour: !refused,
        }
    }

    fn colour(self, colour: Color) -> Style {
        match self.has_colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    pub fn plain(self) -> Style {
        Style::new()
    }

    pub fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// A name on a ground of its own, as of the thread that has the GIL.
    pub fn badge(self, is_main: bool) -> Style {
        let ground = if is_main {
            Color::Yellow
        } else {
            Color::Magenta
        };
        match self.has_colour {
            true => self.bold().fg(Color::Black).bg(ground),
            false => self.bold().add_modifier(Modifier::REVERSED),
        }
    }

    /// What is as it should be.
    pub fn good(self) -> Style {
        self.colour(Color::Green)
    }

    /// What wants to be looked at.
    pub fn warning(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub fn native(self) -> Style {
        self.colour(Color::Yellow)
    }

    pub fn python(self) -> Style {
        self.colour(Color::Blue)
    }

    /// The main thread's part of the time, and others'.
    pub fn holder(self, is_main: bool) -> Style {
        self.colour(if is_main {
            Color::Yellow
        } else {
            Color::Magenta
        })
    }

    pub fn curve(self) -> Style {
        self.colour(Color::Cyan)
    }
}
