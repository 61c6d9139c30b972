//! A user who follows a script: for tests and simulated fleets.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Prompt, Reaction, UserInterface};

/// Answers from a list, in order; with none left, like [`super::NoUser`]. Remembers what was asked.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    reactions: Arc<Mutex<VecDeque<Reaction>>>,
    asked: Arc<Mutex<Vec<Prompt>>>,
}

impl Scripted {
    /// A user who will react so.
    #[must_use]
    pub fn new(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let reactions = Arc::new(Mutex::new(reactions.into_iter().collect()));
        Self { reactions, asked: Arc::default() }
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Prompt> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl UserInterface for Scripted {
    fn ask(&mut self, prompt: &Prompt) -> Reaction {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(prompt.clone());
        let next = self.reactions.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.unwrap_or(Reaction::Nobody)
    }
}
