//! [`Session`]: which question is open, what was answered, and the way back.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::answers::{Answer, Answers};
use super::book::{Book, Mark};
use super::screen::{self, Screen};
use crate::error::Failure;
use crate::shell::Shell;

/// Two records that may be the same.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The columns of both, in order.
    pub(super) columns: Arc<[String]>,
    pub(super) probability: f64,
    pub(super) sides: [Map<String, Value>; 2],
}

/// How a question was dealt with.
enum Dealt {
    Labelled(Mark),
    Unsure,
}

/// Why the questions ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All of the round were dealt with.
    Round,
    /// The one who answers has had enough.
    Finished,
}

/// A person's way through the questions.
pub(super) struct Session<'a> {
    shell: &'a Shell,
    book: Book,
    open: VecDeque<Question>,
    past: Vec<(Question, Dealt)>,
    /// Pairs that were asked, so that nobody is asked twice what they were unsure about.
    asked: BTreeSet<(String, String)>,
}

impl<'a> Session<'a> {
    /// One that begins.
    pub(super) fn new(shell: &'a Shell, book: Book) -> Self {
        Self {
            shell,
            book,
            open: VecDeque::new(),
            past: Vec::new(),
            asked: BTreeSet::new(),
        }
    }

    /// Where the answers are.
    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    /// How many questions were left open.
    pub(super) fn unsure(&self) -> usize {
        let unsure = self
            .past
            .iter()
            .filter(|(_, dealt)| matches!(dealt, Dealt::Unsure));
        unsure.count()
    }

    /// Takes the questions that are not known yet; how many those are.
    pub(super) fn add(&mut self, questions: Vec<Question>) -> usize {
        for question in questions {
            let pair = self.book.pair(&question.sides);
            if !self.book.knows(&pair) && self.asked.insert(pair) {
                self.open.push_back(question);
            }
        }
        self.open.len()
    }

    /// Asks until the round is done, or whoever answers ends it.
    ///
    /// # Errors
    /// The answers cannot be read or written; they are interrupted.
    pub(super) fn answer(&mut self, answers: &mut Answers) -> Result<End, Failure> {
        while let Some(question) = self.open.front() {
            self.shell.show(&self.screen(question));
            let answer = answers.next(self.shell)?;
            match answer {
                Answer::Finish => return Ok(End::Finished),
                Answer::Previous => self.go_back()?,
                Answer::Same | Answer::Different | Answer::Unsure => self.go_on(answer)?,
            }
        }
        Ok(End::Round)
    }

    fn go_on(&mut self, answer: Answer) -> Result<(), Failure> {
        let Some(question) = self.open.pop_front() else {
            return Ok(());
        };
        let dealt = match answer {
            Answer::Unsure => Dealt::Unsure,
            _ => Dealt::Labelled(self.book.add(&question, answer == Answer::Same)?),
        };
        self.past.push((question, dealt));
        Ok(())
    }

    /// Takes the last answer back and asks again.
    fn go_back(&mut self) -> Result<(), Failure> {
        let Some((question, dealt)) = self.past.pop() else {
            self.shell.show("this is the first question");
            return Ok(());
        };
        if let Dealt::Labelled(mark) = dealt {
            self.book.take_back(mark)?;
        }
        self.open.push_front(question);
        Ok(())
    }

    fn screen(&self, question: &Question) -> String {
        let heading = format!(
            "Question {}, {} more in this round; probability {:.2}; so far {} the same, {} different, {} unsure",
            self.past.len() + 1,
            self.open.len() - 1,
            question.probability,
            self.book.same(),
            self.book.different(),
            self.unsure()
        );
        let screen = Screen {
            id: self.book.id(),
            has_color: self.shell.has_color(),
            width: screen::width(),
        };
        format!(
            "\n{heading}\n\n{}",
            screen.pair(&question.columns, &question.sides)
        )
    }
}
