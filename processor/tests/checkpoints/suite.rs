//! What must hold of every object store.

use object_store::ObjectStoreExt;
use tocsin::checkpoint::{GRACE, sweep};
use tocsin::codec::rows::timer_key;
use tocsin::store::{Batch, Column, Store};
use tocsin_core::time::{HOUR, MINUTE};

use super::faulty::{Fault, Faulty};
use super::s3;
use super::stage::{PREFIX, Stage, contents, fill, is_table, now, open};

/// Runs a test over a directory, and over S3 where it can be had.
macro_rules! over_both {
    ($($name:ident)*) => {
        mod in_a_directory {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Stage::in_a_directory()).await; })*
        }
        mod in_s3 {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                if let Some((stage, _server)) = super::s3::stage(stringify!($name)) { super::$name(stage).await; }
            })*
        }
    };
}

over_both! {
    little_change_is_little_to_upload
    what_is_fetched_is_what_was_taken
    a_large_table_goes_up_in_pieces
    only_what_is_not_at_hand_is_downloaded
    a_checkpoint_is_there_when_its_manifest_is
    damage_is_named_and_an_older_one_is_taken
    damage_is_mended_by_the_next_upload
    the_newest_position_wins_whenever_it_was_made
    what_kept_checkpoints_need_is_not_collected
    an_upload_under_way_loses_nothing
    two_verified_ones_are_kept
}

async fn little_change_is_little_to_upload(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..50_000, 1);
    let first = stage.upload(&store, 1, now()).await.unwrap();
    let size = first.manifest.size;
    assert!(size > 500_000, "{size}");
    assert_eq!((first.manifest.new_bytes, first.new_blobs), (size, first.manifest.files.len()));
    fill(&mut store, 0..10, 2);
    let second = stage.upload(&store, 2, now()).await.unwrap();
    // A table of customers, one of the position, and RocksDB's list of tables.
    assert!((1..=4).contains(&second.new_blobs), "{}", second.new_blobs);
    assert!(second.manifest.new_bytes < size / 20, "{} of {size}", second.manifest.new_bytes);
    let blobs = stage.names("blobs").await.len();
    assert_eq!(blobs, first.new_blobs + second.new_blobs);
    // The same once more, by a process that knows nothing of the files.
    let other = Stage::new(stage.objects.clone(), PREFIX);
    let third = other.upload(&store, 2, now()).await.unwrap();
    assert!(third.new_blobs <= 2, "{}", third.new_blobs);
}

async fn what_is_fetched_is_what_was_taken(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..1_000, 7);
    stage.upload(&store, 7, now()).await.unwrap();
    fill(&mut store, 1_000..1_500, 8);
    let found = stage.fetch("fetched", 6).await.unwrap().found.unwrap();
    assert_eq!(found.manifest.facts, super::stage::facts(7));
    let contents = contents(&stage.path("fetched"));
    assert_eq!((contents.customers, contents.position.unwrap().journal_sequence), (1_000, 7));
    assert!(stage.fetch("none", 7).await.unwrap().found.is_none());
    assert!(!stage.path("none").exists());
    // It can be written to, and goes on.
    let mut fetched = open(&stage.path("fetched"));
    fill(&mut fetched, 1_000..1_001, 8);
    stage.upload(&fetched, 8, now()).await.unwrap();
    assert_eq!(stage.listed().await, [(7, true), (8, true)]);
}

async fn a_large_table_goes_up_in_pieces(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..10, 1);
    // Noise, which does not pack: one table of about 20 MB.
    let (mut batch, mut random) = (Batch::default(), 1_u64);
    for row in 0..20_u8 {
        let noise = (0..1 << 20).map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 56) as u8
        });
        batch.put(Column::Timers, timer_key(i64::from(row), "c"), noise.collect::<Vec<u8>>());
    }
    store.write(batch).unwrap();
    let uploaded = stage.upload(&store, 1, now()).await.unwrap();
    let largest = uploaded.manifest.files.iter().map(|file| file.size).max().unwrap();
    assert!(largest > 17 << 20, "{largest}");
    assert!(stage.fetch("fetched", 0).await.unwrap().found.is_some());
    assert_eq!(contents(&stage.path("fetched")).timers, 20);
}

async fn only_what_is_not_at_hand_is_downloaded(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..50_000, 1);
    stage.upload(&store, 1, now()).await.unwrap();
    fill(&mut store, 0..10, 2);
    let uploaded = stage.upload(&store, 2, now()).await.unwrap();
    drop(store);
    let found = stage.fetch_with("fetched", 0, &[stage.path("store")]).await.unwrap().found.unwrap();
    assert!(found.downloaded < uploaded.manifest.size / 20, "{} of {}", found.downloaded, uploaded.manifest.size);
    assert_eq!(contents(&stage.path("fetched")).customers, 50_000);
    // A file at hand of that name and size, but not that content, is of no use.
    let table = uploaded.manifest.files.iter().filter(|file| is_table(file)).max_by_key(|file| file.size);
    let table = table.unwrap();
    std::fs::create_dir(stage.path("bad")).unwrap();
    std::fs::write(stage.path("bad").join(&table.name), vec![0; table.size as usize]).unwrap();
    let found = stage.fetch_with("again", 0, &[stage.path("bad")]).await.unwrap().found.unwrap();
    assert_eq!(found.downloaded, uploaded.manifest.size);
    assert_eq!(contents(&stage.path("again")).customers, 50_000);
}

async fn a_checkpoint_is_there_when_its_manifest_is(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..100, 1);
    stage.upload(&store, 1, now()).await.unwrap();
    fill(&mut store, 0..100, 2);
    let second = stage.upload(&store, 2, now()).await.unwrap();
    assert_eq!(stage.listed().await, [(1, true), (2, true)]);
    stage.delete("manifests", &second.name.to_string()).await;
    assert_eq!(stage.listed().await, [(1, true)]);
    assert_eq!(stage.fetch("fetched", 0).await.unwrap().found.unwrap().name.sequence, 1);
    // A manifest that is torn is listed as such, and another is taken.
    let third = stage.upload(&store, 3, now()).await.unwrap();
    stage.tamper("manifests", &third.name.to_string(), |text| text.truncate(text.len() / 2)).await;
    let listing = stage.archive.listing().await.unwrap();
    let why = listing.entries[1].manifest.as_ref().unwrap_err();
    assert_eq!(why, "the manifest cannot be read: its text is not the one that was written");
    let fetched = stage.fetch("again", 0).await.unwrap();
    assert_eq!((fetched.found.unwrap().name.sequence, fetched.refused[0].name.sequence), (1, 3));
    assert_eq!(stage.listed().await, [(1, true), (3, false)]);
}

type Change = fn(&mut Vec<u8>);

async fn damage_is_named_and_an_older_one_is_taken(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..1_000, 1);
    let first = stage.upload(&store, 1, now()).await.unwrap();
    let changes: [(Option<Change>, &str); 3] = [
        (None, "is missing"),
        (Some(|content| content.truncate(content.len() - 1)), "bytes, not"),
        (Some(|content| content[10] ^= 1), "has other content (sha256 "),
    ];
    for (round, (change, expected)) in changes.into_iter().enumerate() {
        let sequence = round as i64 + 2;
        fill(&mut store, 0..10 + round as u32, sequence);
        let newest = stage.upload(&store, sequence, now()).await.unwrap();
        let old: Vec<_> = first.manifest.files.iter().map(|file| &file.sha256).collect();
        let is_new = |file: &&tocsin::checkpoint::FileEntry| is_table(file) && !old.contains(&&file.sha256);
        let file = newest.manifest.files.iter().rfind(is_new).unwrap();
        match change {
            Some(change) => stage.tamper("blobs", &file.sha256, change).await,
            None => stage.delete("blobs", &file.sha256).await,
        }
        let fetched = stage.fetch(&format!("fetched-{round}"), 0).await.unwrap();
        let reason = &fetched.refused[0].reason;
        assert!(reason.starts_with(&file.name) && reason.contains(expected), "{reason}");
        assert!(fetched.found.unwrap().name.sequence < sequence);
        assert_eq!(stage.listed().await.last(), Some(&(sequence, false)), "it counts as verified no longer");
    }
    // With no older one there is none, and nothing is left behind.
    for file in &first.manifest.files {
        stage.objects.delete(&stage.place("blobs", &file.sha256)).await.ok();
    }
    let fetched = stage.fetch("last", 0).await.unwrap();
    assert!(fetched.found.is_none());
    assert_eq!(fetched.refused.len(), 4);
    assert!(!stage.path("last").exists() && !stage.path("last.part").exists());
}

async fn damage_is_mended_by_the_next_upload(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..1_000, 1);
    let first = stage.upload(&store, 1, now()).await.unwrap();
    let table = first.manifest.files.iter().filter(|file| is_table(file)).max_by_key(|file| file.size);
    let table = table.unwrap();
    fill(&mut store, 0..10, 2);
    stage.upload(&store, 2, now()).await.unwrap();
    // Both rest on this table; nobody has noticed yet.
    stage.tamper("blobs", &table.sha256, |content| content[10] ^= 1).await;
    assert!(stage.fetch("fetched", 0).await.unwrap().found.is_none());
    assert_eq!(stage.listed().await, [(1, false), (2, false)]);
    fill(&mut store, 0..10, 3);
    stage.upload(&store, 3, now()).await.unwrap();
    assert_eq!(stage.fetch("mended", 0).await.unwrap().found.unwrap().name.sequence, 3);
    assert_eq!(contents(&stage.path("mended")).customers, 1_000);
}

async fn the_newest_position_wins_whenever_it_was_made(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..10, 20);
    stage.upload(&store, 20, now()).await.unwrap();
    // A process that lost the partition finishes late.
    fill(&mut store, 0..10, 9);
    stage.upload(&store, 9, now() + HOUR).await.unwrap();
    assert_eq!(stage.listed().await, [(9, true), (20, true)]);
    assert_eq!(stage.fetch("fetched", 0).await.unwrap().found.unwrap().name.sequence, 20);
    let newest = stage.archive.listing().await.unwrap();
    assert_eq!(newest.newest().unwrap().facts.journal_sequence, 20);
}

async fn what_kept_checkpoints_need_is_not_collected(stage: Stage) {
    let mut store = open(&stage.path("store"));
    for sequence in 1..=4 {
        fill(&mut store, 0..1_000 * sequence as u32, sequence);
        stage.upload(&store, sequence, now()).await.unwrap();
    }
    let orphan = stage.place("blobs", &"0".repeat(64));
    stage.objects.put(&orphan, b"of an upload that never ended".to_vec().into()).await.unwrap();
    let before = stage.names("blobs").await;
    let swept = sweep(&stage.archive, 2, now()).await.unwrap();
    assert_eq!((swept.retired, swept.blobs), (2, 0), "what has just been named, or written, stays");
    assert_eq!(stage.names("blobs").await, before);
    assert_eq!((stage.names("manifests").await.len(), stage.names("retired").await.len()), (2, 2));
    assert_eq!(stage.listed().await, [(3, true), (4, true)]);

    assert_eq!(sweep(&stage.archive, 2, now() + GRACE - MINUTE).await.unwrap().blobs, 0);
    let swept = sweep(&stage.archive, 2, now() + GRACE + MINUTE).await.unwrap();
    assert_eq!(swept.retired, 0);
    let left = stage.names("blobs").await;
    assert_eq!(swept.blobs, before.len() - left.len());
    assert!(swept.blobs >= 3 && !left.contains(&"0".repeat(64)), "{swept:?}");
    assert_eq!(stage.names("retired").await, [""; 0]);
    let needed: std::collections::BTreeSet<_> = stage
        .archive
        .listing()
        .await
        .unwrap()
        .entries
        .iter()
        .flat_map(|entry| entry.manifest.as_ref().unwrap().files.iter().map(|file| file.sha256.clone()))
        .collect();
    assert_eq!(left, needed.into_iter().collect::<Vec<_>>());
    for sequence in [3, 2] {
        let found = stage.fetch(&format!("fetched-{sequence}"), sequence).await.unwrap().found.unwrap();
        assert_eq!(contents(&stage.path(&format!("fetched-{sequence}"))).customers, 1_000 * found.name.sequence as u64);
        stage.delete("manifests", &found.name.to_string()).await;
    }
}

async fn an_upload_under_way_loses_nothing(stage: Stage) {
    let mut store = open(&stage.path("store"));
    fill(&mut store, 0..1_000, 1);
    let first = stage.upload(&store, 1, now()).await.unwrap();
    fill(&mut store, 0..10, 2);
    // This one is held just before its manifest: it has found the first one's blobs and relies on them.
    let faulty = Faulty::new(stage.objects.clone());
    faulty.set(Fault::HoldManifests);
    let slow = Stage::new(std::sync::Arc::new(faulty.clone()), PREFIX);
    let directory = slow.path("taken");
    store.checkpoint(&directory).unwrap();
    let archive = slow.archive.clone();
    let uploading = tokio::spawn(async move {
        let known = std::sync::Arc::default();
        tocsin::checkpoint::upload(&archive, &directory, super::stage::facts(2), &known, now()).await
    });
    faulty.held().await;
    // Meanwhile another process has moved on and cleans up, for as long as an upload may take.
    store.compact();
    for sequence in [3, 4] {
        fill(&mut store, 1_000..1_000 + sequence as u32, sequence);
        stage.upload(&store, sequence, now()).await.unwrap();
    }
    assert_eq!(sweep(&stage.archive, 2, now()).await.unwrap().retired, 1);
    sweep(&stage.archive, 2, now() + GRACE / 2).await.unwrap();
    faulty.set(Fault::None);
    let second = uploading.await.unwrap().unwrap();
    let shared = second.manifest.files.iter().filter(|file| first.manifest.files.contains(file)).count();
    assert!(shared > 0, "the test is about blobs that both have");
    // The others are out of the way: is it whole?
    for sequence in [3, 4] {
        for name in stage.names("manifests").await.iter().filter(|name| name.starts_with(&format!("{sequence:020}"))) {
            stage.delete("manifests", name).await;
        }
    }
    sweep(&stage.archive, 2, now() + 2 * GRACE).await.unwrap();
    let fetched = stage.fetch("fetched", 1).await.unwrap();
    assert_eq!((fetched.refused.len(), fetched.found.unwrap().name.sequence), (0, 2));
    assert_eq!(contents(&stage.path("fetched")).customers, 1_000);
}

async fn two_verified_ones_are_kept(stage: Stage) {
    let mut store = open(&stage.path("store"));
    let mut names = Vec::new();
    for sequence in 1..=3 {
        fill(&mut store, 0..10, sequence);
        names.push(stage.upload(&store, sequence, now()).await.unwrap().name);
    }
    stage.delete("verified", &names[2].to_string()).await;
    assert_eq!(sweep(&stage.archive, 2, now()).await.unwrap().retired, 0);
    assert_eq!(stage.listed().await, [(1, true), (2, true), (3, false)]);
    fill(&mut store, 0..10, 4);
    stage.upload(&store, 4, now()).await.unwrap();
    assert_eq!(sweep(&stage.archive, 2, now()).await.unwrap().retired, 1);
    assert_eq!(stage.listed().await, [(2, true), (3, false), (4, true)]);
    // A manifest that cannot be read may name anything: nothing is collected.
    stage.tamper("manifests", &names[2].to_string(), Vec::clear).await;
    assert_eq!(sweep(&stage.archive, 2, now() + 2 * GRACE).await.unwrap().blobs, 0);
}
