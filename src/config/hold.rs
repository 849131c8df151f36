//! `[hold]`: questions that wait for a replica.

use super::resolve::Resolver;
use super::typed::TypedHold;
use crate::server::HoldLimits;
use crate::zone::Holding;

impl Resolver {
    pub(super) fn hold(&mut self, hold: &TypedHold) -> (Holding, HoldLimits) {
        let limits = HoldLimits {
            questions: self.number("hold.questions", hold.questions),
            per_client: self.number("hold.questions_per_client", hold.questions_per_client),
        };
        let longest = self.number("hold.longest", hold.longest);
        // Where none may wait no name is one to wait for: nobody is told that it is.
        let longest = if limits.questions == 0 { 0 } else { longest };
        (Holding { all: hold.all.unwrap_or_default(), longest }, limits)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::model::Hold;

    fn resolve(text: &str) -> Config {
        Config::resolve(toml::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn by_annotation_alone_unless_all_are_and_never_without_room() {
        let of = |text: &str, said| resolve(text).holding.of(said);
        let yes = Some(Hold::AsConfigured);
        assert_eq!((of("", None), of("", yes)), (None, Some(1000)));
        let all = "[hold]\nall = true\nlongest = 300\n";
        assert_eq!((of(all, None), of(all, Some(Hold::Never))), (Some(300), None));
        assert_eq!(of(all, Some(Hold::For(1800))), Some(300));
        assert_eq!(of("[hold]\nall = true\nquestions = 0\n", yes), None);
        assert_eq!(resolve("[hold]\nquestions = 7\n").hold.questions, 7);
    }

    /// Else an annotation could ask for more than the number's own bound.
    #[test]
    fn the_longest_is_the_annotations_longest() {
        let number = crate::config::NUMBERS.iter().find(|number| number.key == "hold.longest").unwrap();
        assert_eq!((number.min, number.max), (Hold::LEAST.into(), Hold::LONGEST.into()));
    }
}
