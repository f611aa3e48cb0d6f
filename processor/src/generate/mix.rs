//! Of which type is an event?

use std::str::FromStr;

use fastrand::Rng;

/// The shipped event types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    Interaction,
    Purchase,
    Complaint,
    Feedback,
    Profile,
    Score,
}

impl Type {
    pub const ALL: [Self; 6] =
        [Self::Interaction, Self::Purchase, Self::Complaint, Self::Feedback, Self::Profile, Self::Score];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interaction => "interaction",
            Self::Purchase => "purchase",
            Self::Complaint => "complaint",
            Self::Feedback => "feedback",
            Self::Profile => "profile",
            Self::Score => "score",
        }
    }
}

/// The share of each type, in the order of [`Type::ALL`]; together 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix([f64; Type::ALL.len()]);

impl Default for Mix {
    fn default() -> Self {
        Self([0.60, 0.32, 0.08, 0.0, 0.0, 0.0])
    }
}

impl Mix {
    #[must_use]
    pub fn share(&self, of: Type) -> f64 {
        self.0[of as usize]
    }

    pub(super) fn complaints(&self) -> f64 {
        self.share(Type::Complaint)
    }
}

/// Reads weights such as `interaction=60,purchase=32,complaint=8`; a type that is not named has none.
impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = [0.0; Type::ALL.len()];
        for part in text.split(',') {
            let (name, weight) =
                part.split_once('=').ok_or_else(|| format!("`{part}` is not TYPE=WEIGHT, such as purchase=32"))?;
            let Some(of) = Type::ALL.into_iter().find(|of| of.name() == name.trim()) else {
                let names: Vec<_> = Type::ALL.into_iter().map(Type::name).collect();
                return Err(format!("there is no type `{name}`; write {}", names.join(", ")));
            };
            let weight: f64 = weight.trim().parse().map_err(|_| format!("`{weight}` is not a number"))?;
            if !(0.0..=1e9).contains(&weight) {
                return Err(format!("a weight of {weight} is not between 0 and 1e9"));
            }
            shares[of as usize] = weight;
        }
        let sum: f64 = shares.iter().sum();
        if sum <= 0.0 {
            return Err("at least one type needs a weight above 0".to_owned());
        }
        Ok(Self(shares.map(|weight| weight / sum)))
    }
}

/// Draws the type of an event that nothing was waiting for.
///
/// Complaints are drawn as tickets that are opened, and bring their further steps with them: so that all of them together
/// have their share, fewer are opened.
#[derive(Clone, Debug)]
pub(super) struct Dealer {
    /// Of each type in order: the draws below it are of this type or of one before.
    below: [f64; Type::ALL.len()],
}

impl Dealer {
    /// `length`: events of a ticket, on average; `planted`: the share of events that open planted tickets.
    pub fn new(mix: &Mix, length: f64, planted: f64) -> Self {
        let complaints = mix.complaints();
        let opened = complaints / length;
        let drawn = 1.0 - (complaints - opened) - planted;
        let mut weights = mix.0;
        weights[Type::Complaint as usize] = (opened - planted).max(0.0);
        let sum: f64 = weights.iter().sum();
        debug_assert!(drawn > 0.0 && sum > 0.0, "something is drawn");
        let mut reached = 0.0;
        Self {
            below: weights.map(|weight| {
                reached += weight / sum;
                reached
            }),
        }
    }

    pub fn draw(&self, random: &mut Rng) -> Type {
        let drawn = random.f64();
        let found = Type::ALL.into_iter().zip(self.below).find(|(_, below)| drawn < *below);
        // Rounding may leave the last of them just short of 1.
        found.map_or(Type::Interaction, |(of, _)| of)
    }
}
