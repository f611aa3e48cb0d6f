//! `tocsin checkpoint restore`.

use std::io::ErrorKind;
use std::path::Path;

use tocsin::checkpoint::{Progress, Search, Wanted, fetch};

use super::RestoreArgs;
use super::list::size;
use super::with_stores::{Place, with_bar};
use crate::cli::failure::Failure;

pub async fn execute(place: &Place, args: &RestoreArgs) -> anyhow::Result<()> {
    make_way(&args.to)?;
    let (archive, entries) = place.entries(args.partition).await?;
    let none = |what: String| {
        let hint = format!("`tocsin checkpoint list --partition {}` shows which there are", args.partition);
        Failure::failed(what).hint(hint)
    };
    let wanted = match args.sequence {
        None => Wanted::NewerThan { sequence: -1, topic: None },
        Some(sequence) => {
            let entry = entries.iter().rev().find(|entry| entry.name.sequence == sequence);
            let entry = entry.ok_or_else(|| none(format!("there is no checkpoint of sequence {sequence}")))?;
            Wanted::Exactly(entry.name.clone())
        }
    };
    let progress = Progress::default();
    let search = Search { wanted, target: args.to.clone(), at_hand: Vec::new(), progress: progress.clone() };
    let what = format!("partition {}", args.partition);
    let fetched =
        with_bar(what, &progress, fetch(&archive, &search)).await.map_err(|error| place.unreachable(error))?;
    for refused in &fetched.refused {
        eprintln!("sequence {} is damaged: {}", refused.name.sequence, refused.reason);
    }
    let found = fetched
        .found
        .ok_or_else(|| none(format!("no checkpoint of partition {} could be restored", args.partition)))?;
    let facts = &found.manifest.facts;
    println!(
        "{}: sequence {}, journal offset {}, rules generation {}, {}",
        args.to.display(),
        facts.journal_sequence,
        facts.journal_offset,
        facts.rules.generation,
        size(found.manifest.size)
    );
    Ok(())
}

/// The directory is made by renaming, so an empty one makes way; what is in another is nobody's to remove.
fn make_way(to: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir(to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::unusable(format!("{} cannot take a checkpoint", to.display()))
            .caused_by(error)
            .hint("name a new or an empty directory")
            .into()),
    }
}
