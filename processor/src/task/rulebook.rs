//! The generations of the rule set, as far as this process knows them: one book for all of its tasks.
//!
//! Generations are numbered from 1, without a gap, and never change once they are there. A task asks for [`latest`] in
//! every round, so that must cost next to nothing; it asks for a generation when it adopts one.
//!
//! [`latest`]: Rulebook::latest

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

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

/// Makes a generation of its document, or says why it cannot.
type Make = dyn Fn(&Arc<str>) -> Result<Generation, String> + Send + Sync;

/// All generations that are known. One thread adds, many ask.
pub struct Rulebook {
    /// Number of the newest one. Stored after it is in the list, so that whoever sees the number finds the generation.
    latest: AtomicI64,
    /// Generation `n` has the place `n - 1`.
    pages: RwLock<Vec<Arc<Page>>>,
    make: Box<Make>,
    unusable: OnceLock<String>,
}

/// A generation that is made when somebody asks for it, for of years of them a process needs a few.
#[derive(Debug)]
struct Page {
    document: Arc<str>,
    /// `None`: it could not be made.
    made: OnceLock<Option<Arc<Generation>>>,
}

impl Default for Rulebook {
    /// A book of generations that are ready.
    fn default() -> Self {
        Self::making(|_| Err("this book makes no generations".to_owned()))
    }
}

impl Rulebook {
    /// A book that makes generations of their documents.
    pub fn making(make: impl Fn(&Arc<str>) -> Result<Generation, String> + Send + Sync + 'static) -> Self {
        let (latest, unusable) = (AtomicI64::new(NO_GENERATION), OnceLock::new());
        Self { latest, pages: RwLock::default(), make: Box::new(make), unusable }
    }

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

    /// A generation by its number; `None` if it is not known, or not yet, or is [unusable](Self::unusable). The first
    /// who asks waits until it is made.
    #[must_use]
    pub fn get(&self, number: i64) -> Option<Arc<Generation>> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        let page = self.pages.read().unwrap_or_else(PoisonError::into_inner).get(place)?.clone();
        let make = || match (self.make)(&page.document) {
            Ok(generation) => Some(Arc::new(generation)),
            Err(why) => {
                self.unusable.get_or_init(|| why);
                None
            }
        };
        page.made.get_or_init(make).clone()
    }

    /// Why a generation that somebody asked for could not be made, if that has happened. Nobody may judge by another
    /// one in its place, so the process has to end.
    #[must_use]
    pub fn unusable(&self) -> Option<&str> {
        self.unusable.get().map(String::as_str)
    }

    /// Adds the next generation.
    ///
    /// # Errors
    /// If it is not the one after the newest; the book stays as it was.
    pub fn add(&self, generation: Generation) -> Result<(), OutOfOrder> {
        let (number, document) = (generation.number, generation.document.clone());
        self.append(number, Page { document, made: OnceLock::from(Some(Arc::new(generation))) })
    }

    /// Adds the next generation, to be made when it is asked for.
    ///
    /// # Errors
    /// As for [`Rulebook::add`].
    pub fn add_document(&self, number: i64, document: Arc<str>) -> Result<(), OutOfOrder> {
        self.append(number, Page { document, made: OnceLock::new() })
    }

    fn append(&self, found: i64, page: Page) -> Result<(), OutOfOrder> {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        let expected = pages.len() as i64 + 1;
        if found != expected {
            return Err(OutOfOrder { expected, found });
        }
        pages.push(Arc::new(page));
        self.latest.store(found, Ordering::Release);
        Ok(())
    }
}

impl fmt::Debug for Rulebook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rulebook")
            .field("latest", &self.latest)
            .field("unusable", &self.unusable)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tocsin_core::engine::Settings;
    use tocsin_core::event::Catalog;

    use super::*;

    fn generation(number: i64) -> Generation {
        let engine = Engine::new(Arc::default(), &Catalog::default(), Settings::default());
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
    fn a_document_is_made_into_a_generation_once_and_only_for_who_asks() {
        static MADE: AtomicI64 = AtomicI64::new(0);
        let book = Rulebook::making(|document| {
            MADE.fetch_add(1, Ordering::Relaxed);
            document.parse().map(generation).map_err(|_| format!("{document} is no number"))
        });
        for (number, document) in [(1, "1"), (2, "two"), (3, "3")] {
            book.add_document(number, document.into()).unwrap();
        }
        assert_eq!(book.add_document(3, "3".into()), Err(OutOfOrder { expected: 4, found: 3 }));
        assert_eq!((book.latest(), MADE.load(Ordering::Relaxed)), (3, 0));
        for _ in 0..2 {
            assert_eq!(book.get(3).unwrap().number, 3);
        }
        assert_eq!((book.unusable(), MADE.load(Ordering::Relaxed)), (None, 1), "who needs no other is not disturbed");
        assert!(book.get(2).is_none());
        assert_eq!(book.unusable(), Some("two is no number"));
        assert_eq!(book.get(1).unwrap().number, 1);
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
