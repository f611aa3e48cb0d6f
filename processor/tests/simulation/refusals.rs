//! A process that ends by itself says why. These are the reasons it may have; any other is a failure.

use tocsin::task::world::WorldError;

use crate::sim::Sim;

pub fn judge(sim: &Sim, error: &WorldError) {
    let text = error.to_string();
    let plan = &sim.plan;
    let may_be = match error {
        WorldError::Fenced(_) => plan.has_twin,
        // Whoever is told to end does not wait for a disk: the next start restores.
        WorldError::Store { .. } => plan.disk > 0 || plan.damage > 0,
        // Another member may live on what is here.
        WorldError::Fatal(_) if text.contains("the simulated disk") => plan.disk > 0,
        // Retention ran while a restore was under way: the next start begins with the checkpoint.
        WorldError::Fatal(_) if text.contains("retention has taken it") => plan.retention > 0,
        _ => false,
    };
    let is_late = sim.is_calm.get() && !text.contains("retention has taken it");
    assert!(may_be && !is_late, "a process ended with: {text}");
    sim.count(if matches!(error, WorldError::Fenced(_)) { "processes fenced" } else { "processes ended by a refusal" });
}
