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
                let help =
                    format!("add {}, for example `{example}: {{ … }}`", one_of(self.known.iter().copied()));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(local: Option<u8>, s3: Option<u8>) -> (Option<u8>, Vec<String>) {
        let mut context = Context::default();
        let mut kinds = Kinds::new();
        kinds.kind("local", local, &mut context, |config, _| Some(config));
        kinds.kind("s3", s3, &mut context, |config, _| Some(config));
        let planned = kinds.one(&mut context);
        (planned, context.into_problems().into_iter().flat_map(|one| [one.what, one.help]).collect())
    }

    #[test]
    fn exactly_one_kind_is_taken() {
        assert_eq!(told(Some(1), None), (Some(1), vec![]));
        assert_eq!(told(None, Some(2)), (Some(2), vec![]));
        let (planned, told_of_none) = told(None, None);
        assert_eq!(planned, None);
        assert_eq!(told_of_none[0], "the kind is missing");
        assert_eq!(told_of_none[1], "add `local` or `s3`, for example `local: { … }`");
        let (planned, told_of_two) = told(Some(1), Some(2));
        assert_eq!(planned, None);
        assert_eq!(told_of_two[0], "`local` and `s3` stand together");
    }
}
