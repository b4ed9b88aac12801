//! "Exactly one of the kinds": how a store or a source says what it is.

use super::context::Context;
use super::suggest::one_of;

/// The kinds that a store or a source may have, and those that this one has.
pub(super) struct Kinds<T> {
    known: Vec<&'static str>,
    given: Vec<(&'static str, Option<T>)>,
}

impl<T> Kinds<T> {
    pub(super) fn new() -> Self {
        Self { known: Vec::new(), given: Vec::new() }
    }

    /// Takes one kind; plans it if the configuration has it.
    pub(super) fn kind<C>(
        &mut self,
        name: &'static str,
        config: Option<C>,
        context: &mut Context,
        plan: impl FnOnce(C, &mut Context) -> Option<T>,
    ) {
        self.known.push(name);
        if let Some(config) = config {
            let planned = context.at(name, |context| plan(config, context));
            self.given.push((name, planned));
        }
    }

    /// The one that is given; none and several are problems.
    pub(super) fn one(mut self, context: &mut Context) -> Option<T> {
        match self.given.len() {
            1 => self.given.pop().and_then(|(_, planned)| planned),
            0 => {
                let example = self.known.first().copied().unwrap_or_default();
                let help = format!("add {}, for example `{example}: {{ … }}`", one_of(self.known.iter().copied()));
                context.problem("", "the kind is missing", help);
                None
            }
            _ => {
                let given = self.given.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>();
                let what = format!("{} stand together", given.join(" and "));
                context.problem("", what, "keep one kind and give each of the others its own name");
                None
            }
        }
    }
}
