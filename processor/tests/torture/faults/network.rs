//! A process that does not reach the brokers any more, while everybody else does.

use std::time::Duration;

use super::{Fault, ms};
use crate::act::{Act, SESSION};
use crate::model::rng::Rng;
use crate::proxy::Way;

pub struct Cut {
    machine: usize,
    broker: Option<usize>,
    way: Way,
    lasts: Duration,
}

impl Cut {
    pub fn new(machine: usize, broker: Option<usize>, rng: &mut Rng) -> Self {
        let way = rng.pick(&[Way::Silent, Way::Refused]);
        let lasts = if rng.chance(50) { ms(rng, 200, 1_500) } else { SESSION + ms(rng, 500, 2_500) };
        Self { machine, broker, way, lasts }
    }
}

impl Fault for Cut {
    fn what(&self) -> String {
        let Self { machine, broker, way, lasts } = self;
        let broker = broker.map_or("all brokers".to_owned(), |broker| format!("broker {}", broker + 1));
        format!("m{machine} is cut off from {broker} ({way:?}) for {lasts:?}")
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].set_way(self.broker, self.way);
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].set_way(self.broker, Way::Open);
    }
}
