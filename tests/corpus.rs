//! Feeds the recorded requests of `events/`, mutated by a seeded generator, to every provider's verifier, parser and
//! response reader. The fuzzer does the same without a time limit. This test takes a second in every `cargo test`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod fuzzed;

/// The number of mutations of each file. `CORPUS_ROUNDS` overrides it.
const ROUNDS: u64 = 60;

/// SplitMix64: any seed works, and a failing seed is one number to repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn range(&mut self, end: usize) -> std::ops::Range<usize> {
        let (one, two) = (self.below(end + 1), self.below(end + 1));
        one.min(two)..one.max(two)
    }
}

/// Texts that often break parsers.
const TOKENS: [&[u8]; 22] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"\\u0000",
    b"\\ud83d",
    b"\xff",
    b"\xc3",
    b"%",
    b"%00",
    b"&",
    b"\xf0\x9f\x91\x8d",
];

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        match random.below(6) {
            0 if !bytes.is_empty() => {
                let place = random.below(bytes.len());
                bytes[place] ^= 1 << random.below(8);
            }
            1 => drop(bytes.drain(random.range(bytes.len()))),
            2 => {
                let copy = bytes[random.range(bytes.len().min(4096))].to_vec();
                let place = random.below(bytes.len() + 1);
                bytes.splice(place..place, copy);
            }
            3 => bytes.truncate(random.below(bytes.len() + 1)),
            // One JSON value replaces another.
            4 => {
                let colons: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(place, _)| place).collect();
                let Some(place) = colons.get(random.below(colons.len())) else { continue };
                let end = bytes[*place..].iter().position(|byte| b",}\n".contains(byte)).map_or(bytes.len(), |length| place + length);
                bytes.splice(place + 1..end, TOKENS[8 + random.below(6)].iter().copied());
            }
            _ => {
                let place = random.below(bytes.len() + 1);
                let token = TOKENS[random.below(TOKENS.len())];
                bytes.splice(place..place, token.iter().copied());
            }
        }
    }
}

fn files() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(local::workspace().join("events")).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()));
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "json" || ending == "form")).collect();
    files.sort();
    files
}

fn survive(kind: &str, path: &Path, what: &str, bytes: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        fuzzed::verify(kind, bytes);
        fuzzed::parse(kind, bytes);
        fuzzed::answers(kind, bytes);
    }));
    assert!(outcome.is_ok(), "{kind} did not survive {} with {what}", path.display());
}

#[test]
fn no_mutation_of_a_recorded_request_makes_a_provider_panic() {
    let rounds = std::env::var("CORPUS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let files = files();
    assert!(files.len() > 12, "events/ has {} files", files.len());
    for path in &files {
        let original = std::fs::read(path).unwrap();
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        for adapter in providers::ADAPTERS {
            // Requests of other providers are read once, unchanged.
            survive(adapter.kind(), path, "no change", &original);
            for seed in (0..rounds).filter(|_| adapter.receive_name() == folder) {
                let mut bytes = original.clone();
                mutate(&mut bytes, &mut Random(seed));
                survive(adapter.kind(), path, &format!("seed {seed}"), &bytes);
            }
        }
    }
}
