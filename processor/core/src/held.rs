//! What is held of a large customer's values between two looks, so that they are moved on instead of worked out anew.
//!
//! All of it is derived and none of it is stored: it is built up when a large customer is first looked at.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::{SmallVec, smallvec};

use crate::customer::Item;
use crate::event::Record;
use crate::fetch::fetch;
use crate::rule::{RuleSet, Span, Window};
use crate::time::Millis;
use crate::timeline::Timeline;
use crate::tracker::Standing;
use crate::window::{self, Anchor};

/// What is held of one customer; of a small one nothing, and that takes no room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held(Option<Box<Values>>);

/// By the places of windows and openings in a rule set.
#[derive(Clone, Debug, Default, PartialEq)]
struct Values {
    /// Number of the rule set's values.
    of: u64,
    /// One of them takes no place of its own in memory.
    windows: SmallVec<[Option<window::Held>; 1]>,
    /// Windows that begin with an item, by its opening.
    items: BTreeMap<(Millis, Box<str>), Vec<Option<window::Held>>>,
    openings: Vec<Option<Standing>>,
}

impl Held {
    /// Makes room for the values of a set that is known by this number; those of another are dropped.
    pub fn make_for(&mut self, of: u64, set: &RuleSet) {
        if self.of(of).is_none() {
            let (windows, openings) = (smallvec![None; set.windows.len()], vec![None; set.openings.len()]);
            self.0 = Some(Box::new(Values { of, windows, items: BTreeMap::new(), openings }));
        }
    }

    /// The values of this set. Those of another are dropped: they do not hear of what comes, and the set may come back.
    fn of(&mut self, of: u64) -> Option<&mut Values> {
        if self.0.as_ref().is_some_and(|values| values.of != of) {
            self.0 = None;
        }
        self.0.as_deref_mut()
    }

    /// A window, if there is room for it; of one that begins with an item, that item's.
    pub fn window(
        &mut self,
        place: usize,
        window: &Window,
        anchor: Option<Anchor<'_>>,
    ) -> Option<&mut Option<window::Held>> {
        let values = self.0.as_mut()?;
        let (Span::Item, Some(anchor)) = (window.span, anchor) else { return values.windows.get_mut(place) };
        let held = values.items.entry((anchor.at, anchor.event_id.into())).or_default();
        held.resize(values.windows.len(), None);
        held.get_mut(place)
    }

    /// What is open, if there is room for it.
    pub fn opening(&mut self, place: usize) -> Option<&mut Option<Standing>> {
        self.0.as_mut()?.openings.get_mut(place)
    }

    /// Takes in an event that has just been added to the timeline.
    pub fn insert(&mut self, of: u64, set: &RuleSet, at: Millis, record: Record<'_>) {
        let Some(values) = self.of(of) else { return };
        for (held, window) in values.windows.iter_mut().zip(&set.windows) {
            if let Some(held) = held {
                held.insert(window, at, record);
            }
        }
        for held in values.items.values_mut() {
            for (held, window) in held.iter_mut().zip(&set.windows) {
                if let Some(held) = held {
                    held.insert(window, at, record);
                }
            }
        }
        for (held, tracker) in values.openings.iter_mut().zip(&set.openings) {
            if let Some(standing) = held
                && standing.at() >= at
                && tracker.reads(record).is_some()
                && !standing.go_back(at)
            {
                *held = None;
            }
        }
    }

    /// Events before `horizon` are about to be let go of.
    pub fn forget_before(&mut self, of: u64, set: &RuleSet, timeline: &Timeline, horizon: Millis) {
        let Some(values) = self.of(of) else { return };
        for (held, window) in values.windows.iter_mut().zip(&set.windows) {
            *held = held.take().and_then(|held| held.forgetting(window, timeline, horizon));
        }
        for standing in values.openings.iter_mut().flatten() {
            standing.forget_before(horizon);
        }
    }

    /// Bytes that it takes beside itself, about.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let Some(values) = &self.0 else { return 0 };
        let of = |windows: &[Option<window::Held>]| {
            let tallies: usize = windows.iter().flatten().map(window::Held::heap_bytes).sum();
            tallies + size_of_val(windows)
        };
        let openings: usize = values.openings.iter().flatten().map(Standing::heap_bytes).sum();
        let items: usize = values.items.values().map(|windows| of(windows)).sum();
        size_of::<Values>() + of(&values.windows) + items + openings + size_of_val(&*values.openings)
    }

    /// Asks for it: see [`crate::fetch`].
    pub fn fetch(&self) {
        if let Some(values) = &self.0 {
            fetch(&**values);
        }
    }

    /// Lets go of the windows of items that are open no longer.
    pub fn keep_items(&mut self, items: &[Item]) {
        let Some(values) = &mut self.0 else { return };
        if values.items.len() > items.len() {
            let open: BTreeSet<(Millis, &str)> =
                items.iter().map(|Item { opening, .. }| (opening.at, &*opening.event_id)).collect();
            values.items.retain(|(at, event_id), _| open.contains(&(*at, event_id)));
        }
    }
}
