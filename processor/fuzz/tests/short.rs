//! So many blind changes to the seeds of each target, the same in every run; and what was found before.
//!
//! A case again: `TOCSIN_FUZZ_SEED=<seed> cargo test -p tocsin-fuzz`, the seed as printed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tocsin_fuzz::{AVRO, JSON, JUDGE, RULES, SCHEMA, Target};

/// `SplitMix64`. Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// A stretch of at most so many bytes.
fn stretch(rng: &mut Rng, bytes: &[u8], longest: usize) -> std::ops::Range<usize> {
    let start = rng.below(bytes.len() + 1);
    start..(start + rng.below(longest + 1)).min(bytes.len())
}

const EDGES: [&[u8]; 22] = [
    b"0",
    b"-1",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"1e309",
    b"0.00005",
    b"null",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b": ",
    b"\n",
    b"\t",
    b"!",
    b"&a ",
    b"*a",
    b"\xff",
    b"\xf0\x9f\x98\x80",
    b"\0",
    b"\xef\xbb\xbf",
];

fn change(rng: &mut Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    match rng.below(6) {
        0 if !input.is_empty() => {
            let at = rng.below(input.len());
            input[at] ^= 1 << rng.below(8);
        }
        1 => drop(input.drain(stretch(rng, input, 16))),
        2 => {
            let range = stretch(rng, input, 4);
            let edge = EDGES[rng.below(EDGES.len())];
            drop(input.splice(range, edge.iter().copied()));
        }
        3 => {
            let copy = input[stretch(rng, input, 32)].to_vec();
            let at = rng.below(input.len() + 1);
            drop(input.splice(at..at, copy));
        }
        4 => {
            let other = &seeds[rng.below(seeds.len())];
            let part = other[stretch(rng, other, 48)].to_vec();
            let range = stretch(rng, input, 16);
            drop(input.splice(range, part));
        }
        _ => {
            let at = rng.below(input.len() + 1);
            input.insert(at, rng.next() as u8);
        }
    }
}

fn check(target: &Target) {
    let run = |what: &str, input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
            panic!("{} {what}: {panic:?}\n{}", target.name, String::from_utf8_lossy(input));
        }
    };
    let seeds = (target.seeds)();
    assert!(seeds.len() >= 20, "{}: only {} seeds", target.name, seeds.len());
    for seed in &seeds {
        run("seed", seed);
    }
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(target.name);
    for entry in fs::read_dir(found).into_iter().flatten() {
        let path = entry.unwrap().path();
        run(&path.display().to_string(), &fs::read(&path).unwrap());
    }
    let (first, cases) = match std::env::var("TOCSIN_FUZZ_SEED") {
        Ok(seed) => (seed.parse().unwrap(), 1),
        Err(_) => (0, target.short),
    };
    for seed in first..first + cases {
        let rng = &mut Rng(seed as u64);
        let mut input = seeds[rng.below(seeds.len())].clone();
        for _ in 0..=rng.below(6) {
            change(rng, &mut input, &seeds);
        }
        run(&format!("TOCSIN_FUZZ_SEED={seed}"), &input);
    }
}

#[test]
fn json() {
    check(&JSON);
}

#[test]
fn avro() {
    check(&AVRO);
}

#[test]
fn schemas() {
    check(&SCHEMA);
}

#[test]
fn rules() {
    check(&RULES);
}

#[test]
fn judging() {
    check(&JUDGE);
}
