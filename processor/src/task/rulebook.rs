//! The generations of the rule set, as far as this process knows them: one book for all of its tasks.
//!
//! Generations are numbered from 1, without a gap, and never change once they are there. A task asks for [`latest`] in
//! every round, so that must cost next to nothing; it asks for a generation when it adopts one.
//!
//! [`latest`]: Rulebook::latest

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tocsin_core::engine::Engine;

/// Number of a generation that a partition has before it has adopted any.
pub const NO_GENERATION: i64 = 0;

/// One generation of the rule set, ready to judge by.
#[derive(Debug)]
pub struct Generation {
    /// Counted from 1.
    pub number: i64,
    /// The same for rules that decide alike, in the same order.
    pub fingerprint: Box<str>,
    /// What it was made of, as it was published: enough to make it again.
    pub document: Arc<str>,
    pub engine: Engine,
}

/// A generation that does not follow on the last one of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("generation {found} of the rules comes where generation {expected} is due")]
pub struct OutOfOrder {
    pub expected: i64,
    pub found: i64,
}

/// All generations that are known. One thread adds, many ask.
#[derive(Debug, Default)]
pub struct Rulebook {
    /// Number of the newest one. Stored after it is in the list, so that whoever sees the number finds the generation.
    latest: AtomicI64,
    /// Generation `n` has the place `n - 1`.
    generations: RwLock<Vec<Arc<Generation>>>,
}

impl Rulebook {
    /// A book with these generations in it.
    ///
    /// # Errors
    /// As for [`Rulebook::add`].
    pub fn of(generations: impl IntoIterator<Item = Generation>) -> Result<Self, OutOfOrder> {
        let book = Self::default();
        for generation in generations {
            book.add(generation)?;
        }
        Ok(book)
    }

    /// Number of the newest generation; [`NO_GENERATION`] if there is none yet. Cheap, and never goes back.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.latest.load(Ordering::Acquire)
    }

    /// A generation by its number; `None` if it is not known, or not yet.
    #[must_use]
    pub fn get(&self, number: i64) -> Option<Arc<Generation>> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.generations.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    /// Adds the next generation.
    ///
    /// # Errors
    /// If it is not the one after the newest; the book stays as it was.
    pub fn add(&self, generation: Generation) -> Result<(), OutOfOrder> {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        let (expected, found) = (generations.len() as i64 + 1, generation.number);
        if found != expected {
            return Err(OutOfOrder { expected, found });
        }
        generations.push(Arc::new(generation));
        self.latest.store(found, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tocsin_core::engine::{Detail, Settings};
    use tocsin_core::event::Catalog;

    use super::*;

    fn generation(number: i64) -> Generation {
        let engine = Engine::new(Arc::default(), &Catalog::default(), Settings::default(), Detail::Full);
        Generation { number, fingerprint: format!("{number:016x}").into(), document: "{}".into(), engine }
    }

    #[test]
    fn generations_are_found_by_their_number() {
        let book = Rulebook::default();
        assert_eq!(book.latest(), NO_GENERATION);
        for number in 1..=3 {
            book.add(generation(number)).unwrap();
            assert_eq!(book.latest(), number);
        }
        for number in 1..=3 {
            let found = book.get(number).unwrap();
            assert_eq!((found.number, &*found.fingerprint), (number, &*format!("{number:016x}")));
        }
        for absent in [i64::MIN, -1, NO_GENERATION, 4, i64::MAX] {
            assert!(book.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn only_the_next_generation_is_added() {
        for wrong in [0, 1, 2, 4, -3] {
            let book = Rulebook::of([generation(1), generation(2)]).unwrap();
            assert_eq!(book.add(generation(wrong)), Err(OutOfOrder { expected: 3, found: wrong }));
            assert_eq!(book.latest(), 2, "{wrong}");
            book.add(generation(3)).unwrap();
        }
        assert_eq!(Rulebook::of([generation(2)]).unwrap_err(), OutOfOrder { expected: 1, found: 2 });
    }

    #[test]
    fn whoever_sees_a_number_finds_the_generation() {
        let book = Rulebook::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=500).for_each(|number| book.add(generation(number)).unwrap()));
            let mut seen = 0;
            while seen < 500 {
                let latest = book.latest();
                assert!(latest >= seen);
                seen = latest;
                assert!(seen == NO_GENERATION || book.get(seen).is_some_and(|found| found.number == seen));
            }
        });
    }
}
